"""Challengers that wait: for a person's approval, or for labels."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_MOMENT = sa.DateTime(timezone=True)
_DECISION = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_WAITING = sa.text("settled_by IS NULL")


def upgrade() -> None:
    """Make their table; what the ledger holds stays as it is."""
    op.create_table(
        "ledger_challengers",
        sa.Column("decision_id", _DECISION, sa.ForeignKey("ledger_decisions.id"), nullable=False),
        sa.Column("pipeline", sa.String, nullable=False),
        sa.Column("request_id", sa.String, sa.ForeignKey("ledger_requests.id"), nullable=False),
        sa.Column("awaits", sa.String, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("tested_version", sa.String),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("package_uri", sa.String, nullable=False),
        sa.Column("expected_epoch", sa.BigInteger, nullable=False),
        sa.Column("as_of", _MOMENT, nullable=False),
        sa.Column("settled_by", _DECISION, sa.ForeignKey("ledger_decisions.id"), unique=True),
        sa.PrimaryKeyConstraint("decision_id"),
    )
    op.create_index(
        "one_challenger_waits",
        "ledger_challengers",
        ["pipeline"],
        unique=True,
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
