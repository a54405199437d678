"""The tables as they were before revisions were counted: a database may have some or all."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    for make in (_models, _rollouts, _feedback, _adaptations):
        make()


def _models() -> None:
    op.create_table(
        "versions",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("manifest", sa.String(64), nullable=False),
        sa.Column("manifest_size", sa.Integer, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("summary", sa.JSON, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "endpoints",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("previous", sa.Integer),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "revisions",
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "reasons",
        sa.Column("revision", sa.Integer, sa.ForeignKey("revisions.revision"), primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        if_not_exists=True,
    )


def _rollouts() -> None:
    op.create_table(
        "trials",
        sa.Column("name", sa.String(63), sa.ForeignKey("endpoints.name"), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("share", sa.Float, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "placements",
        sa.Column("name", sa.String(63), sa.ForeignKey("endpoints.name"), primary_key=True),
        sa.Column("wanted", sa.JSON, nullable=False),
        sa.Column("placed", sa.Boolean, nullable=False, default=False),
        sa.Column("waiting", sa.Text),
        if_not_exists=True,
    )


def _feedback() -> None:
    op.create_table(
        "predictions",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("endpoint", sa.String(63), nullable=False),
        sa.Column("request", sa.String(128), nullable=False),
        sa.Column("row", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("score", sa.Float),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        if_not_exists=True,
    )
    op.create_index(
        "predictions_of_requests",
        "predictions",
        ["endpoint", "request", "row"],
        if_not_exists=True,
    )
    op.create_table(
        "feedback",
        sa.Column("endpoint", sa.String(63), primary_key=True),
        sa.Column("request", sa.String(128), primary_key=True),
        sa.Column("row", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        if_not_exists=True,
    )


def _adaptations() -> None:
    op.create_table(
        "adaptations",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("submitted", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished", sa.DateTime(timezone=True)),
        sa.Column("reason", sa.Text),
        sa.Column("result", sa.JSON),
        sa.Column("idempotency_key", sa.String(255), unique=True),
        sa.Column("cancel", sa.Boolean, nullable=False, default=False),
        sa.Column("on_server", sa.Boolean, nullable=False, default=False),
        if_not_exists=True,
    )
    op.create_table(
        "events",
        sa.Column("adaptation", sa.String(32), sa.ForeignKey("adaptations.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        if_not_exists=True,
    )
