"""The registry of one home, opened."""

from functools import cached_property
from pathlib import Path
from typing import Self

from sqlalchemy import Engine

from regraft.identity.caller import EVERYTHING, View
from regraft.registry.audit import AuditLog
from regraft.registry.blobs import BlobStore
from regraft.registry.feedback import FeedbackRegistry
from regraft.registry.home import Home
from regraft.registry.keys import KeyRegistry
from regraft.registry.models import ModelRegistry
from regraft.registry.partial_uploads import PartialUploads
from regraft.registry.removal import RemovalRegistry
from regraft.registry.rollouts import RolloutRegistry
from regraft.registry.runs import RunRegistry
from regraft.registry.schema import connect
from regraft.registry.uploads import UploadRegistry
from regraft.settings import Settings


class Registry:
    """Models, runs, uploads, keys and blobs of a home directory and its database, as far as they
    are seen."""

    def __init__(
        self,
        root: Path,
        database: str | None = None,
        view: View = EVERYTHING,
        artifacts: str | None = None,
        node_cache: Path | None = None,
    ) -> None:
        self.home = Home(root, artifacts, node_cache).create()
        self.database = database
        self.view = view

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The registry that the settings name."""
        home, database = settings.resolved_home, settings.database
        return cls(home, database, artifacts=settings.artifacts, node_cache=settings.node_cache)

    def within(self, view: View) -> "Registry":
        """The same registry as somebody else sees it."""
        home = self.home
        other = Registry(home.root, self.database, view, home.artifacts, home.node_cache)
        other.engine = self.engine
        return other

    @cached_property
    def engine(self) -> Engine:
        return connect(self.database or self.home.database_url)

    @cached_property
    def models(self) -> ModelRegistry:
        return ModelRegistry(self.engine, self.home.tables, self.view)

    @cached_property
    def rollouts(self) -> RolloutRegistry:
        return RolloutRegistry(self.engine, self.home.tables, self.view)

    @cached_property
    def removal(self) -> RemovalRegistry:
        return RemovalRegistry(self.engine, self.home.tables, self.view)

    @cached_property
    def feedback(self) -> FeedbackRegistry:
        return FeedbackRegistry(self.engine, self.home.predictions, self.view)

    @cached_property
    def runs(self) -> RunRegistry:
        return RunRegistry(self.engine, self.view)

    @cached_property
    def uploads(self) -> UploadRegistry:
        return UploadRegistry(self.engine, self.home.uploads, self.view)

    @property
    def partial_uploads(self) -> PartialUploads:
        return PartialUploads(self.uploads)

    @cached_property
    def audit(self) -> AuditLog:
        return AuditLog(self.engine, self.view)

    @cached_property
    def keys(self) -> KeyRegistry:
        return KeyRegistry(self.engine, self.home)

    @property
    def blobs(self) -> BlobStore:
        return self.home.blobs
