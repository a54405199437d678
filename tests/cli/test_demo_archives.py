"""Debian packages as archives of data, from a server on this machine."""

import functools
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from regraft.cli.demo_archives import DemoDataError, Package
from regraft.cli.demo_data import _filled


def member(name: str, content: bytes) -> bytes:
    """A member of an ar archive, deb(5)."""
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
    return header + content + b"\n" * (len(content) % 2)


def data(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:xz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return file.getvalue()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def package(pool: str, folder: Path, content: bytes) -> Package:
    (folder / "a.deb").write_bytes(content)
    return Package("a.deb", hashlib.sha256(content).hexdigest(), "a folder of yours.", pool)


def test_files_of_a_package_are_read(pool: str, tmp_path: Path) -> None:
    parts = [("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), ("data.tar.xz", b"")]
    files = {"./usr/share/a.txt": b"first", "./usr/share/b/c.txt": b"second"}
    whole = b"!<arch>\n" + b"".join(member(n, data(files) if "data" in n else c) for n, c in parts)
    found = {str(path): content for path, content in package(pool, tmp_path, whole).files()}
    assert found == {"usr/share/a.txt": b"first", "usr/share/b/c.txt": b"second"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no archive", "no ar archive"),
        (b"!<arch>\n" + member("debian-binary", b"2.0\n"), r"holds no data\.tar"),
        (b"!<arch>\n" + member("data.tar.xz", b"no tar"), "cannot be read"),
    ],
)
def test_what_is_no_package_is_told_with_the_way_out(
    pool: str, tmp_path: Path, content: bytes, reason: str
) -> None:
    with pytest.raises(DemoDataError, match=rf"{reason}.*Supply it yourself: a folder of yours"):
        list(package(pool, tmp_path, content).files())


def test_another_file_and_none_are_refused(pool: str, tmp_path: Path) -> None:
    (tmp_path / "a.deb").write_bytes(b"another")
    with pytest.raises(DemoDataError, match="not the package that is known"):
        list(Package("a.deb", "0" * 64, "x", pool).files())
    with pytest.raises(DemoDataError, match="404"):
        list(Package("none.deb", "0" * 64, "x", pool).files())


def test_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "half").touch()
        raise DemoDataError("stop")

    with pytest.raises(DemoDataError):
        _filled(tmp_path / "cache" / "data", fails)
    assert not list((tmp_path / "cache").iterdir())
    assert _filled(tmp_path / "cache" / "data", lambda folder: None).is_dir()
