"""The lock of a home directory."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from regraft.errors import ConflictError, InvalidInputError
from regraft.registry.home import Home
from regraft.settings import Settings

URL = "http://127.0.0.1:8000"
OWN = """
import sys, time
from pathlib import Path
from regraft.registry.home import Home
with Home(Path(sys.argv[1])).owned_by(sys.argv[2]):
    print("owned", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def owner(home: Home) -> Iterator["subprocess.Popen[str]"]:
    """A process that owns the home."""
    command = [sys.executable, "-c", OWN, str(home.root), URL]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "owned\n"
    yield process
    process.kill()
    process.communicate()


def test_home_without_a_server_has_no_url(home: Home) -> None:
    assert home.server_url() is None
    assert home.create().server_url() is None


def test_owned_home_tells_the_url_until_it_is_freed(home: Home) -> None:
    with home.owned_by(URL):
        assert home.server_url() == URL
    assert home.server_url() is None


def test_second_owner_is_refused_with_the_url_of_the_first(home: Home) -> None:
    with home.owned_by(URL), pytest.raises(ConflictError, match=URL), home.owned_by("other"):
        pass


def test_home_is_free_once_its_owner_was_killed(home: Home, owner: "subprocess.Popen[str]") -> None:
    assert home.server_url() == URL
    owner.send_signal(signal.SIGKILL)
    owner.wait(10)
    assert home.server_url() is None
    with home.owned_by("next"):
        assert home.server_url() == "next"


def test_those_who_look_at_once_do_not_take_each_other_for_the_owner(home: Home) -> None:
    import fcntl

    with home.owned_by(URL):
        pass
    with home.lock.open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert home.server_url() is None


def test_unreadable_lock_file_is_no_server(home: Home) -> None:
    with home.owned_by(URL):
        home.lock.write_text("{")
        assert home.server_url() is None


def test_home_that_is_a_file_or_lies_in_one_is_refused_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for root in (file, file / "home", tmp_path / ("a" * 300)):
        with pytest.raises(InvalidInputError, match=f"The home {root} "):
            Home(root).create()


def test_home_of_an_unknown_user_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="~nouser/home cannot be used"):
        _ = Settings(home=Path("~nouser/home")).resolved_home
