"""The images without CUDA, built without a Docker engine and used as pods use them.

`python -m benchmarks.image` takes root, Debian's mmdebstrap and buildah, and the network. A Debian
with Python is made, the image of deploy/docker/Dockerfile.cpu is built on it, and inside, as its
user and with the chart's variables: a model is adapted to the text demo's data, Ray is started and
handed the chart's applications, KubeRay's probes are run until they pass, and a prediction is asked
for. Then the image that only answers, of Dockerfile.serve, does so with the same home and without
the control plane. Told are sizes and times.
"""

import argparse
import json
import resource
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.serving import cache
from regraft.cli.demo_data import tweets
from regraft.training.cluster import PLENTY, ROLES, SERVE
from tests.deploy.pods import pods, service

ROOT = Path(__file__).parents[1]
BASE = "regraft-benchmark-base"
IMAGES = {"cpu": "regraft-benchmark", "serve": "regraft-benchmark-serve"}
SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"
UNNEEDED = ("/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*")
USER, TOKEN = "1000", secrets.token_hex(32)
# Of a head and of a worker that serves, as KubeRay 1.7 writes them; a pod's ports are its own.
GET = "wget --tries 1 -T 2 -q -O- http://localhost:{} | grep success"
PROBES = {
    "the head's": " && ".join(
        GET.format(path) for path in ("52365/api/local_raylet_healthz", "8265/api/gcs_healthz")
    ),
    "a worker's": " && ".join(
        GET.format(path) for path in ("52365/api/local_raylet_healthz", "8000/-/healthz")
    ),
}


def run(*command: object, **more: Any) -> str:
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, **more).stdout


def make_base(folder: Path) -> None:
    """A Debian with Python, as python:slim is one."""
    archive = folder / "base.tar"
    options = [f"--dpkgopt=path-exclude={path}" for path in UNNEEDED]
    include = "--include=python3,python3-venv,ca-certificates"
    run("mmdebstrap", "--quiet", "--variant=minbase", include, *options, SUITE, archive, MIRROR)
    container = run("buildah", "from", "scratch").strip()
    run("buildah", "add", "--quiet", container, archive, "/")
    run("buildah", "commit", "--quiet", container, BASE)
    run("buildah", "rm", container)


def build(folder: Path, volumes: list[str], kind: str) -> None:
    """The image, of the files that git knows."""
    sources = folder / "sources"
    shutil.rmtree(sources, ignore_errors=True)
    sources.mkdir()
    files = run("git", "-C", ROOT, "ls-files").splitlines()
    run("cp", "--parents", "-t", sources, *files, cwd=ROOT)
    arguments = {"BASE_IMAGE": f"localhost/{BASE}", "TORCH_INDEX": "https://pypi.org/simple"}
    run(
        *("buildah", "bud", "--isolation", "chroot", "--network", "host", "--layers=false"),
        *(word for one in volumes for word in ("-v", one)),
        *(word for name, v in arguments.items() for word in ("--build-arg", f"{name}={v}")),
        *("-f", f"deploy/docker/Dockerfile.{kind}", "-t", IMAGES[kind], "."),
        cwd=sources,
    )


def size(image: str) -> float:
    """Of its files, in GB."""
    found = json.loads(run("buildah", "inspect", "--type", "image", f"localhost/{image}"))
    return sum(layer["size"] for layer in json.loads(found["Manifest"])["layers"]) / 1e9


def of_the_chart() -> tuple[dict[str, str], str]:
    """The variables of a pod that serves, without what is in secrets, and its applications."""
    text = (ROOT / "deploy/rendered/minimal.yaml").read_text()
    found = [one for one in yaml.safe_load_all(text) if one]
    (pod,) = (pod for pod in pods(found) if pod.group == "serve")
    env = {name: value for name, value in pod.env.items() if isinstance(value, str)}
    return env, service(found)["spec"]["serveConfigV2"]


@contextmanager
def container(folder: Path, env: dict[str, str], kind: str) -> Iterator[Any]:
    """Runs commands inside, as the image's user, where only /tmp and the home can be written."""
    # As many files as this machine allows; buildah's own 1,024 are too few for HAProxy.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = ("--ulimit", f"nofile={most}:{most}")
    made = run("buildah", "from", *limit, f"localhost/{IMAGES[kind]}").strip()
    kept = {"/tmp": folder / "tmp", env["REGRAFT_HOME"]: folder / "home", "/data": folder / "data"}
    for path in kept.values():
        path.mkdir(exist_ok=True)
        shutil.chown(path, int(USER), int(USER))
    volumes = [word for to, path in kept.items() for word in ("-v", f"{path}:{to}")]
    variables = [word for item in env.items() for word in ("--env", "=".join(item))]
    own = ("--isolation", "chroot", "--network", "host", "--user", USER)

    def inside(command: str, **more: Any) -> "subprocess.CompletedProcess[str]":
        words = ["buildah", "run", *own, *volumes, *variables, made, "--", "bash", "-lc", command]
        return subprocess.run(words, text=True, stdout=subprocess.PIPE, **more)

    try:
        yield inside
    finally:
        end_all()
        run("buildah", "rm", made)


def end_all() -> None:
    """What runs inside and has gone to the background. Not `ray stop`, which would end every Ray of
    the machine."""
    ended = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("RAY_AUTH_TOKEN") == TOKEN:
                process.kill()
                ended.append(process)
        except psutil.Error:
            continue
    psutil.wait_procs(ended, 10)


def of_a_pod() -> tuple[dict[str, str], str]:
    env, config = of_the_chart()
    return {
        **env,
        "REGRAFT_REPLICAS": "1",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
    }, config


def use(folder: Path) -> tuple[bool, str]:
    """Whether all of it went well, and the key that may predict."""
    env, config = of_a_pod()
    with container(folder, env, "cpu") as inside:
        (folder / "data/serve.yaml").write_text(config)
        shutil.copyfile(tweets(cache()), folder / "data/tweets.csv")
        print("user:", inside("id -u", check=True).stdout.strip(), flush=True)
        adapt = "regraft adapt /data/tweets.csv --name tweets --source minilm-l6 --limit-rows 1000"
        begin = time.monotonic()
        done = json.loads(inside(f"{adapt} --json", check=True).stdout)
        print(
            f"adapted in {time.monotonic() - begin:.0f} s: accuracy "
            f"{done['metrics']['accuracy']:.3f}, {done['verdict']}",
            flush=True,
        )
        key = inside("regraft keys create image --scope predict", check=True).stdout.strip()
        return serve(inside, key, ROLES), key


def only_answer(folder: Path, key: str) -> bool:
    """With the home that there is by now."""
    env, config = of_a_pod()
    applications = yaml.safe_load(config)
    applications["applications"] = [a for a in applications["applications"] if a["name"] == "pool"]
    with container(folder, env, "serve") as inside:
        (folder / "data/serve.yaml").write_text(yaml.safe_dump(applications))
        missing = inside("python3 -c 'import torch'", stderr=subprocess.DEVNULL).returncode != 0
        return serve(inside, key, (SERVE,)) and missing


def serve(inside: Any, key: str, roles: Iterable[str]) -> bool:
    """All of it in one go: what runs inside ends with it."""
    resources = shlex.quote(json.dumps(dict.fromkeys(roles, PLENTY)))
    start = (
        f"ray start --head --num-cpus=2 --resources={resources} --temp-dir=$REGRAFT_RAY_TEMP_DIR"
    )
    body = shlex.quote(json.dumps({"inputs": ["what a lovely day"]}))
    ask = (
        f"wget -q -O- --header 'Authorization: Bearer {key}' --post-data {body} "
        "http://localhost:8000/v2/models/tweets/predict"
    )
    failed = "{ tail -5 /tmp/log; exit 1; }"
    lines = [
        f"{start} --dashboard-host=0.0.0.0 --disable-usage-stats >/tmp/log 2>&1 || {failed}",
        f"serve run --non-blocking -a auto /data/serve.yaml >/tmp/log 2>&1 || {failed}",
        *(
            f"for n in $(seq 60); do if ({probe}) >/dev/null; then echo passed: {whose}; break; fi;"
            " sleep 1; done"
            for whose, probe in ((shlex.quote(who), probe) for who, probe in PROBES.items())
        ),
        f"for n in $(seq 30); do {ask} && break; sleep 1; done",
    ]
    begin = time.monotonic()
    out = inside("\n".join(lines)).stdout
    print(f"{time.monotonic() - begin:.0f} s later:", out.strip(), flush=True)
    return all(f"passed: {who}" in out for who in PROBES) and '"predictions"' in out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--volume", action="append", default=[], help="FROM:TO, while building.")
    parser.add_argument("--keep", choices=IMAGES, action="append", default=[], help="As it is.")
    given = parser.parse_args()
    missing = [one for one in ("mmdebstrap", "buildah", "git") if shutil.which(one) is None]
    if missing:
        sys.exit(f"benchmarks.image takes {', '.join(missing)}")
    with tempfile.TemporaryDirectory(prefix="rg", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        if not given.keep:
            make_base(folder)
        for kind in IMAGES.keys() - given.keep:
            begin = time.monotonic()
            build(folder, given.volume, kind)
            print(f"{kind} built in {time.monotonic() - begin:.0f} s", flush=True)
        for kind, image in IMAGES.items():
            print(f"{kind}: {size(image):.3f} GB, of which Debian {size(BASE):.3f}", flush=True)
        whole, key = use(folder)
        sys.exit(not (whole and only_answer(folder, key)))


if __name__ == "__main__":
    main()
