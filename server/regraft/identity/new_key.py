"""What a new API key shall be."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from regraft.domain import Name
from regraft.identity.caller import DEFAULT_PROJECT
from regraft.identity.scopes import Scope


class NewKey(BaseModel):
    """Whose key it shall be, what it shall be for, and for how many days (for ever if null)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    project: Name = DEFAULT_PROJECT
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    days: Annotated[float, Field(gt=0, le=3650)] | None = None

    @property
    def expires(self) -> datetime | None:
        return None if self.days is None else datetime.now(UTC) + timedelta(days=self.days)
