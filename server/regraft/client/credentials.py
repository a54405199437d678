"""The API keys that a user has, by server."""

import json
import os
from pathlib import Path

VARIABLE = "REGRAFT_API_KEY"


def saved_key(url: str) -> str | None:
    """The environment's key for every server, else the one that `regraft login` kept for this."""
    return os.environ.get(VARIABLE) or _kept().get(_server(url))


def save_key(url: str, key: str) -> Path:
    """Keep a key in a file that none but the user reads; where that is."""
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}-{os.getpid()}")
    made.unlink(missing_ok=True)
    with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({**_kept(), _server(url): key}, file)
    os.replace(made, path)
    return path


def _kept() -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(_path().read_text())
    except (OSError, ValueError):
        return {}
    return found


def _path() -> Path:
    folder = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(folder).expanduser() / "regraft" / "credentials.json"


def _server(url: str) -> str:
    return url.rstrip("/")
