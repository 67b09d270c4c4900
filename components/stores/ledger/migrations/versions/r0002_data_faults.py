"""Data faults: what was found when, and how it ended."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make their table; what the ledger holds stays as it is."""
    op.create_table(
        "ledger_faults",
        sa.Column("pipeline", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("fault", sa.String, nullable=False),
        sa.Column("column", sa.String, nullable=False),
        sa.Column("evidence", sa.String, nullable=False),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("until", _MOMENT, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("ids", sa.Text, nullable=False),
        sa.Column("found_as_of", _MOMENT, nullable=False),
        sa.Column("seen", sa.Text, nullable=False),
        sa.Column("written_at", _MOMENT, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("ended_as_of", _MOMENT),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("why", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("pipeline", "key"),
    )
