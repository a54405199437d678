"""Settings, from the environment (`REGRAFT_…`) or the command line."""

import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from regraft.errors import InvalidInputError

Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """One process's settings; sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(env_prefix="REGRAFT_", extra="ignore", frozen=True)

    home: Path = Path.home() / ".regraft"
    url: str | None = None
    database: str | None = None
    address: str | None = None
    ray_temp_dir: Path = Path(tempfile.gettempdir()) / "regraft-ray"
    use_gpu: bool | None = None
    threads: Annotated[int, Field(ge=1)] | None = None
    scratch_seconds: Annotated[float, Field(ge=0)] = 600.0
    """The most that the baseline from scratch may take, which is never more than the adaptation."""

    host: str = "127.0.0.1"
    port: Port = 8000
    grpc_port: Port | None = None
    """8001 unless it is given, or where `port` is any free one another such."""
    replicas: Annotated[int, Field(ge=1)] = 2
    poll_interval: Annotated[float, Field(gt=0)] = 0.5

    max_batch_rows: Annotated[int, Field(ge=1)] = 16
    max_queued_rows: Annotated[int, Field(ge=1)] = 512
    max_ongoing: Annotated[int, Field(ge=1)] = 128
    """Requests of one replica at a time; more are refused before they reach it. HAProxy's launcher
    reads it from the environment."""
    max_backbones: Annotated[int, Field(ge=0)] | None = None
    """Bytes of backbones' files that a replica keeps in memory; any number unless it is given. Of
    others those used least recently are put away, and loaded again when they are asked for."""
    max_body: int = 64 * 2**20
    max_json: int = 8 * 2**20
    max_upload: int = 2 * 2**30
    max_rows: int = 10**6

    @property
    def resolved_home(self) -> Path:
        try:
            return self.home.expanduser().resolve()
        except (RuntimeError, OSError) as error:
            raise InvalidInputError(f"The home {self.home} cannot be used: {error}") from error
