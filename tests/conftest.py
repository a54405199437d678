"""What tests of several parts share: plugins, source models, data, and a home that they start from.

Nothing here starts Ray.
"""

import io
import logging
import os
import shutil
import string
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from regraft.cli.demo_data import tweets as demo_tweets
from regraft.contract import SourceModel
from regraft.export.frozen import frozen_backbone
from regraft.logs import log_lines
from regraft.plugins import Plugins
from regraft.registry.home import Home
from regraft.threads import yield_soon
from tests.environments import ROOT, cache, made_by_this_code
from tests.packages import add_packages

# The models here are small: torch's threads would cost more than they save, five times as much
# where processors are shared. Read when torch is imported, which nothing above does.
os.environ.setdefault("OMP_NUM_THREADS", "1")
yield_soon()

FIRST = pytest.StashKey[bool]()
"""Whether this process has run no test yet."""
MEANWHILE = pytest.StashKey["subprocess.Popen[bytes]"]()
"""What is made while tests run that do not need it."""
YIELDING = 5

CACHE = cache()
add_packages(CACHE)

SMALL_WAVEFORM = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": (16, 16),
    "conv_stride": (20, 16),
    "conv_kernel": (20, 16),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
WORDS = {
    "positive": ["good", "great", "lovely", "fine"],
    "negative": ["bad", "awful", "poor", "sad"],
}


def _needs_ray(test: str) -> bool:
    """By its name, which is all that a scheduler knows: where the tests are that have the mark."""
    return test.startswith(("tests/server/", "tests/training/test_ray_train.py"))


def _needs_s3(test: str) -> bool:
    return "[s3]" in test or test.startswith("tests/registry/test_shared_blobs.py")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One of the workers runs all that needs Ray, so that there is one server; it begins with that,
    as the largest group. One runs all that needs an S3 server. Of the others each test is a
    group."""
    from xdist.scheduler import LoadScopeScheduling

    class OneServer(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if _needs_s3(nodeid):
                return "s3"
            return "ray" if _needs_ray(nodeid) else nodeid

    return OneServer(config, log)


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[FIRST] = True
    if session.config.pluginmanager.hasplugin("dsession"):
        # Several minutes of pip on a new machine, for which the tests of clients would wait.
        command = [sys.executable, "-m", "tests.environments"]
        session.config.stash[MEANWHILE] = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, preexec_fn=lambda: os.nice(YIELDING)
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    meanwhile = session.config.stash.get(MEANWHILE, None)
    if meanwhile is not None:
        meanwhile.terminate()
        meanwhile.wait()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Whatever runs beside a server leaves it the processor: it is tested for time."""
    if item.config.stash[FIRST] and "PYTEST_XDIST_WORKER" in os.environ:
        os.nice(0 if _needs_ray(item.nodeid) else YIELDING)
    item.config.stash[FIRST] = False


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("REGRAFT_")]:
            if not name.startswith("REGRAFT_TEST_"):
                patch.delenv(name)
        # It doubles what training takes; the tests of it ask for it.
        patch.setenv("REGRAFT_SCRATCH_SECONDS", "0")
        yield


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What our loggers write as lines."""
    logger = logging.getLogger("regraft")
    before = (logger.handlers, logger.level, logger.propagate)
    stream = io.StringIO()
    log_lines(stream)
    yield stream
    logger.handlers, logger.level, logger.propagate = before


@pytest.fixture(scope="session")
def plugins() -> Plugins:
    return Plugins.load()


@pytest.fixture(scope="session")
def minilm(plugins: Plugins) -> SourceModel:
    return plugins.open_source("minilm-l6")


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an untrained BERT of two layers, fast to export and to train."""
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("source") / "tiny-bert"
    folder.mkdir()
    vocabulary = _write_tokenizer(folder / "tokenizer.json")
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_hubert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an untrained encoder of sound, of two layers."""
    import torch
    from transformers import HubertConfig, HubertModel

    folder = tmp_path_factory.mktemp("source") / "tiny-hubert"
    torch.manual_seed(7)
    config = HubertConfig(**SMALL_WAVEFORM, feat_extract_norm="layer")
    HubertModel(config).save_pretrained(folder)
    return folder


def _write_tokenizer(path: Path) -> int:
    """Words, and letters for all others; always the same, as what is exported with it is kept."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    words = sorted({"the", "film", "was", *chain(*WORDS.values())})
    letters = string.ascii_lowercase + string.digits
    parts = [part for letter in letters for part in (letter, f"##{letter}")]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words, *parts]
    known = {token: number for number, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(known, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(path))
    return len(vocabulary)


@pytest.fixture(scope="session")
def tweets() -> Path:
    """The demo's CSV of real tweets, columns text and label."""
    return demo_tweets(CACHE)


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A CSV of 60 short texts, columns text and label, that any encoder can tell apart."""
    lines = [
        f"the film was {words[i % 4]} {words[i // 4 % 4]} {'really ' * (i % 5)}{i},{label}"
        for label, words in WORDS.items()
        for i in range(30)
    ]
    path = tmp_path / "reviews.csv"
    path.write_text("\n".join(["text,label", *lines]))
    return path


@pytest.fixture(scope="session")
def exported_texts(
    tmp_path_factory: pytest.TempPathFactory, plugins: Plugins, minilm: SourceModel, tiny_bert: Path
) -> Home:
    """A home in which the default features of two text encoders were exported."""
    root = tmp_path_factory.mktemp("texts") / "home"
    return _with_exports(root, [minilm, plugins.open_source(str(tiny_bert))])


@pytest.fixture(scope="session")
def exported(
    tmp_path_factory: pytest.TempPathFactory, plugins: Plugins, minilm: SourceModel, tiny_bert: Path
) -> Home:
    """A home in which default features were exported: of tiny_bert, and of the catalogue's."""
    names = (str(tiny_bert), "efficientnet-lite0", "whisper-tiny-en")
    sources = [minilm, *map(plugins.open_source, names)]
    if os.environ.get("PYTEST_XDIST_WORKER") == "gw1":
        sources.reverse()  # so that each of two workers makes what the other has not
    return _with_exports(tmp_path_factory.mktemp("exported") / "home", sources)


def _with_exports(root: Path, sources: Sequence[SourceModel]) -> Home:
    for source in sources:

        def make(folder: Path, source: SourceModel = source) -> None:
            frozen_backbone(source, source.features[0], Home(folder).create())

        made = made_by_this_code(f"exports/{Path(source.name).name}", make)
        shutil.copytree(made, root, dirs_exist_ok=True)
    return Home(root)


@pytest.fixture
def fresh_home(tmp_path: Path, exported: Home) -> Home:
    """A home of the test's own that has those exports; its files are links: replace, never edit."""
    root = tmp_path / "home"
    shutil.copytree(exported.root, root, copy_function=os.link)
    return Home(root)


@pytest.fixture(scope="session")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty sounds, generated: a tone that rises and one that falls, at any pitch and length."""
    import numpy as np
    import soundfile

    folder, rng = tmp_path_factory.mktemp("data") / "sweeps", np.random.default_rng(0)
    for number in range(30):
        label = ("rising", "falling")[number % 2]
        (folder / label).mkdir(parents=True, exist_ok=True)
        count = int(rng.integers(4_000, 12_000))
        ends = rng.uniform(150, 250) * np.array([1, 2] if label == "rising" else [2, 1])
        phase = 2 * np.pi * np.cumsum(np.linspace(*ends, count)) / 22_050
        kind = ("wav", "flac", "ogg")[number % 3]
        soundfile.write(folder / label / f"{number}.{kind}", 0.3 * np.sin(phase), 22_050)
    return folder


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty drawings, generated: discs and bars at random places, in random colours."""
    import numpy as np
    from PIL import Image, ImageDraw

    folder, rng = tmp_path_factory.mktemp("data") / "shapes", np.random.default_rng(0)
    for number in range(30):
        label = ("disc", "bar")[number % 2]
        image = Image.new("RGB", (96, 80), "white")
        left, top = rng.integers(0, 40, 2)
        colour = tuple(int(value) for value in rng.integers(0, 200, 3))
        box = (int(left), int(top), int(left) + 40, int(top) + (40 if label == "disc" else 9))
        draw = ImageDraw.Draw(image)
        (draw.ellipse if label == "disc" else draw.rectangle)(box, fill=colour)
        (folder / label).mkdir(parents=True, exist_ok=True)
        image.save(folder / label / f"{number}.png")
    return folder
