"""Settings, from the command line, the environment (`REGRAFT_…`) or a file."""

import difflib
import os
import tempfile
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from regraft.errors import InvalidInputError

PREFIX, FILE = "REGRAFT_", "REGRAFT_SETTINGS_FILE"
"""Before the names of settings in the environment, and there the path of a file of more."""

Port = Annotated[int, Field(ge=0, le=65535)]


def _absolute(path: Path) -> Path:
    """Processes have different working directories."""
    if not path.is_absolute():
        raise ValueError("must be an absolute path")
    return path


class Settings(BaseSettings):
    """One process's settings; sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    home: Path = Path.home() / ".regraft"
    """Where everything is kept."""
    url: str | None = None
    """The server that commands ask, unless one runs on the home."""
    database: str | None = None
    """An SQLAlchemy URL; a file of SQLite in the home unless it is given."""
    artifacts: str | None = None
    """A URI of `pyarrow.fs`, such as `s3://BUCKET/FOLDER?region=…`, where what is published is
    kept; in the home unless it is given."""
    node_cache: Annotated[Path, AfterValidator(_absolute)] | None = None
    """A folder of each node for its copies of what is in `artifacts`; the home, which nodes share,
    has them unless it is given. Nothing goes from it by itself."""
    address: str | None = None
    """A Ray cluster to join; a local one is started otherwise."""
    roles: bool = False
    """Whether the nodes of that cluster say what they are for (`regraft node --role`): what serves
    and what trains then keep to their own."""
    ray_temp_dir: Path = Path(tempfile.gettempdir()) / "regraft-ray"
    """Where a Ray that is started keeps its files."""
    use_gpu: bool | None = None
    """Whether training and serving take GPUs; training takes those that there are otherwise."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Of each replica of the shared pool and of what computes features; the processors are shared
    out otherwise. Those of a dedicated endpoint have as many as its `--cpus` says."""
    scratch_seconds: Annotated[float, Field(ge=0)] = 600.0
    """The most that the baseline from scratch may take, which is never more than the adaptation."""

    host: str = "127.0.0.1"
    """Where to listen."""
    port: Port = 8000
    """For HTTP; 0 chooses a free one."""
    grpc_port: Port | None = None
    """8001 unless it is given, or where `port` is any free one another such."""
    auth: bool = False
    """Whether whoever asks must send an API key; needed to listen beyond this machine."""
    oidc_issuer: str | None = None
    """The `iss` of an OpenID Connect provider whose tokens are taken beside keys: their `scope`
    says what for, their `project` whose."""
    oidc_audience: str | None = None
    """The `aud` that its tokens must have."""
    oidc_keys: str | None = None
    """Where its public keys are (JWKS): a URL or a file."""
    max_rate: Annotated[float, Field(gt=0)] | None = None
    """Requests a second of one caller, at each replica and at the control plane; any number unless
    it is given."""
    allowed_sources: str = ""
    """What source models begin with that every caller may have the server open, besides those of
    the catalogue: paths, `hf:OWNER/` and the like, with commas between. Others take `admin`."""
    plugins: str | None = None
    """The packages whose plugins are loaded, with commas between, besides our own; all that are
    installed unless it is given."""
    replicas: Annotated[int, Field(ge=1)] = 2
    """Of the shared pool."""
    replicas_per_node: Annotated[int, Field(ge=1)] | None = None
    """Of those, at most on one node of a cluster; any number unless it is given."""
    poll_interval: Annotated[float, Field(gt=0)] = 0.5
    """How often replicas look whether an endpoint has changed."""

    max_batch_rows: Annotated[int, Field(ge=1)] = 16
    """Rows of one batch."""
    max_queued_rows: Annotated[int, Field(ge=1)] = 512
    """Rows that may wait in a replica."""
    max_ongoing: Annotated[int, Field(ge=1)] = 128
    """Requests of one replica at a time; more are refused before they reach it."""  # by HAProxy
    max_backbones: Annotated[int, Field(ge=0)] | None = None
    """Bytes of backbones' files that a replica keeps in memory; any number unless it is given. Of
    others those used least recently are put away, and loaded again when they are asked for."""
    max_cached: Annotated[int, Field(ge=0)] = 0
    """Bytes of answers that a replica keeps, for who asks the same rows of the same version."""
    max_body: int = 64 * 2**20
    """Bytes of a request's body."""
    max_json: int = 8 * 2**20
    """Bytes of a request's JSON."""
    max_upload: int = 2 * 2**30
    """Bytes of an uploaded data set."""
    max_running: Annotated[int, Field(ge=1)] | None = None
    """Adaptations at a time, others wait; half as many as there are processors, and at least two,
    unless it is given."""
    max_waiting: Annotated[int, Field(ge=1)] = 100
    """Adaptations of one project that wait or run; more are refused."""
    max_rows: int = 10**6
    """Rows of a data set."""
    keep_uploads: Annotated[float, Field(gt=0)] | None = None
    """Days that an uploaded data set is kept, and longer while an adaptation needs it; for ever
    unless it is given."""
    keep_audit: Annotated[float, Field(gt=0)] | None = 365.0
    """Days that records of the audit log are kept."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given here comes first, then the environment, then the file."""
        return init_settings, env_settings, FileSource(settings_cls)

    @property
    def resolved_home(self) -> Path:
        try:
            return self.home.expanduser().resolve()
        except (RuntimeError, OSError) as error:
            raise InvalidInputError(f"The home {self.home} cannot be used: {error}") from error


class FileSource(PydanticBaseSettingsSource):
    """The file that the environment names: TOML, by the settings' names in lower case."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return from_file(self.settings_cls)


def from_file(kind: type[BaseSettings] = Settings) -> dict[str, Any]:
    """What the settings file says, if there is one.

    Raises InvalidInputError for a file that cannot be read, or that has a name which is none.
    """
    if not (name := os.environ.get(FILE)):
        return {}
    if not Path(name).is_absolute():
        # Processes of other folders read it too.
        raise InvalidInputError(f"{FILE} must be an absolute path, not '{name}'.")
    try:
        found = tomllib.loads(Path(name).read_text())
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"The settings file {name} cannot be read: {error}") from error
    for key in found:
        if key not in kind.model_fields:
            near = difflib.get_close_matches(key, kind.model_fields, 1)
            hint = f" Did you mean '{near[0]}'?" if near else " `regraft config show` names all."
            raise InvalidInputError(f"The settings file {name} has an unknown '{key}'.{hint}")
    return found
