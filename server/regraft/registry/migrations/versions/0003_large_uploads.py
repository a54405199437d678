"""Uploads of more than 2 GiB, which an administrator may allow."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":  # whose integers are of any size
        op.alter_column("datasets", "size", type_=sa.BigInteger)
