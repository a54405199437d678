"""Projects own what there is; API keys; a log of changes; runs that go on."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for table in ("adaptations", "datasets"):
        column = sa.Column("project", sa.String(63), nullable=False, server_default="default")
        op.add_column(table, column)
    op.add_column(
        "adaptations", sa.Column("interrupted", sa.Integer, nullable=False, server_default="0")
    )
    op.create_table(
        "owners",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("project", sa.String(63), nullable=False),
    )
    op.execute("INSERT INTO owners SELECT DISTINCT name, 'default' FROM versions")
    op.create_table(
        "keys",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True)),
        sa.Column("revoked", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("caller", sa.String(255), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("action", sa.String(255), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
    )
