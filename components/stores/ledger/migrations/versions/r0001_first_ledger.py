"""The first ledger: requests, leases, decisions, promotions, verdicts, marks."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_MOMENT = sa.DateTime(timezone=True)
_IN_FLIGHT = sa.text("state <> 'closed'")


def upgrade() -> None:
    """Make the tables, and give the ledger the identity that it keeps for life."""
    _identity()
    _requests()
    _leases()
    _decisions()
    _promotions()
    _verdicts()


def _identity() -> None:
    table = op.create_table("ledger_identity", sa.Column("id", sa.String, primary_key=True))
    op.bulk_insert(table, [{"id": str(uuid.uuid4())}])


def _requests() -> None:
    op.create_table(
        "ledger_requests",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("pipeline", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("cause", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("as_of", _MOMENT, nullable=False),
        sa.Column("champion_version", sa.String),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("event_id", sa.String),
        sa.Column("event_sent_at", _MOMENT),
        sa.Column("flow_run_id", sa.String, nullable=False),
        sa.Column("by_reconcile", sa.Boolean, nullable=False),
        sa.Column("outcome", sa.String),
        sa.Column("written_at", _MOMENT, nullable=False),
        sa.Column("closed_at", _MOMENT),
        sa.Column("closed_token", sa.BigInteger),
        sa.UniqueConstraint("pipeline", "key", name="one_request_a_key"),
    )
    op.create_index(
        "one_request_in_flight",
        "ledger_requests",
        ["pipeline"],
        unique=True,
        sqlite_where=_IN_FLIGHT,
        postgresql_where=_IN_FLIGHT,
    )
    op.create_table(
        "ledger_merges",
        sa.Column("pipeline", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("request_id", sa.String, sa.ForeignKey("ledger_requests.id"), nullable=False),
        sa.Column("cause", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("as_of", _MOMENT, nullable=False),
        sa.Column("merged_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("pipeline", "key"),
    )


def _leases() -> None:
    op.create_table(
        "ledger_leases",
        sa.Column("pipeline", sa.String, primary_key=True),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.String, sa.ForeignKey("ledger_requests.id"), nullable=False),
        sa.Column("holder", sa.String),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("ttl_seconds", sa.Float, nullable=False),
        sa.Column("flow_run_id", sa.String, nullable=False),
    )


def _decisions() -> None:
    op.create_table(
        "ledger_decisions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("pipeline", sa.String, nullable=False),
        sa.Column("what", sa.String, nullable=False),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("why", sa.String, nullable=False),
        sa.Column("as_of", _MOMENT, nullable=False),
        sa.Column("recorded_at", _MOMENT, nullable=False),
        sa.Column("request_id", sa.String, sa.ForeignKey("ledger_requests.id")),
        sa.Column("event_id", sa.String),
        sa.Column("flow_run_id", sa.String, nullable=False),
        sa.Column("by_reconcile", sa.Boolean, nullable=False),
        sa.Column("tested_version", sa.String),
        sa.Column("served_version", sa.String),
        sa.Column("first", sa.Boolean, nullable=False),
        sa.Column("numbers", sa.Text, nullable=False),
        sa.Column("mlflow_run_id", sa.String, nullable=False),
        sa.UniqueConstraint("request_id", name="one_decision_a_request"),
    )
    op.create_index("ix_ledger_decisions_pipeline", "ledger_decisions", ["pipeline"])


def _promotions() -> None:
    op.create_table(
        "ledger_promotions",
        sa.Column("pipeline", sa.String, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("previous_version", sa.String),
        sa.Column("previous_epoch", sa.BigInteger),
        sa.Column("rolled_back_epoch", sa.BigInteger),
        sa.Column("tested_version", sa.String),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("package_uri", sa.String, nullable=False),
        sa.Column(
            "decision_id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            sa.ForeignKey("ledger_decisions.id"),
            nullable=False,
            unique=True,
        ),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("as_of", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("pipeline", "epoch"),
        sa.UniqueConstraint("pipeline", "rolled_back_epoch", name="one_rollback_an_epoch"),
    )


def _verdicts() -> None:
    op.create_table(
        "ledger_verdicts",
        sa.Column("pipeline", sa.String, nullable=False),
        sa.Column("window_end", _MOMENT, nullable=False),
        sa.Column("policy", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("cause", sa.String),
        sa.Column("request_id", sa.String, sa.ForeignKey("ledger_requests.id")),
        sa.Column("as_of", _MOMENT, nullable=False),
        sa.Column("written_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("pipeline", "window_end", "policy"),
    )
    op.create_table(
        "ledger_marks",
        sa.Column("pipeline", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("value", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("pipeline", "name"),
    )
