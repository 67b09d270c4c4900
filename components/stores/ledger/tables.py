"""The ledger's tables, as the newest migration leaves them.

``ledger_`` stands before every name: a team's PostgreSQL often holds MLflow's and
Prefect's tables in the same database.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    text,
)

from components.stores.ledger.columns import Facts, Listed, UtcTime

HEAD = "0003"
"""The newest migration; known here so that opening a current ledger need not import alembic."""

VERSION_TABLE = "ledger_version"

metadata = MetaData()

identity = Table(
    "ledger_identity",
    metadata,
    Column("id", String, primary_key=True),
)

requests = Table(
    "ledger_requests",
    metadata,
    Column("id", String, primary_key=True),
    Column("pipeline", String, nullable=False),
    Column("key", String, nullable=False),
    Column("cause", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("as_of", UtcTime, nullable=False),
    Column("champion_version", String),
    Column("evidence", Facts, nullable=False),
    Column("state", String, nullable=False),
    Column("event_id", String),
    Column("event_sent_at", UtcTime),
    Column("flow_run_id", String, nullable=False),
    Column("by_reconcile", Boolean, nullable=False),
    Column("outcome", String),
    Column("written_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
    Column("closed_token", BigInteger),
    UniqueConstraint("pipeline", "key", name="one_request_a_key"),
    # Invariant I6: the database itself refuses a second retraining in flight.
    Index(
        "one_request_in_flight",
        "pipeline",
        unique=True,
        sqlite_where=text("state <> 'closed'"),
        postgresql_where=text("state <> 'closed'"),
    ),
)

merges = Table(
    "ledger_merges",
    metadata,
    Column("pipeline", String, nullable=False),
    Column("key", String, nullable=False),
    Column("request_id", ForeignKey("ledger_requests.id"), nullable=False),
    Column("cause", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("as_of", UtcTime, nullable=False),
    Column("merged_at", UtcTime, nullable=False),
    PrimaryKeyConstraint("pipeline", "key"),
)

leases = Table(
    "ledger_leases",
    metadata,
    Column("pipeline", String, primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("request_id", ForeignKey("ledger_requests.id"), nullable=False),
    # No holder: given back, or its request is closed. The token stays, so that it only grows.
    Column("holder", String),
    Column("expires_at", UtcTime, nullable=False),
    Column("ttl_seconds", Float, nullable=False),
    Column("flow_run_id", String, nullable=False),
)

decisions = Table(
    "ledger_decisions",
    metadata,
    # SQLite numbers rows by itself only in a column of type INTEGER.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("pipeline", String, nullable=False, index=True),
    Column("what", String, nullable=False),
    Column("who", String, nullable=False),
    Column("why", String, nullable=False),
    Column("as_of", UtcTime, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("request_id", ForeignKey("ledger_requests.id")),
    Column("event_id", String),
    Column("flow_run_id", String, nullable=False),
    Column("by_reconcile", Boolean, nullable=False),
    Column("tested_version", String),
    Column("served_version", String),
    Column("first", Boolean, nullable=False),
    Column("numbers", Facts, nullable=False),
    Column("mlflow_run_id", String, nullable=False),
    UniqueConstraint("request_id", name="one_decision_a_request"),
)

promotions = Table(
    "ledger_promotions",
    metadata,
    Column("pipeline", String, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("version", String, nullable=False),
    Column("previous_version", String),
    Column("previous_epoch", BigInteger),
    Column("rolled_back_epoch", BigInteger),
    Column("tested_version", String),
    Column("digest", String, nullable=False),
    Column("package_uri", String, nullable=False),
    Column("decision_id", ForeignKey("ledger_decisions.id"), nullable=False, unique=True),
    Column("at", UtcTime, nullable=False),
    Column("who", String, nullable=False),
    Column("as_of", UtcTime, nullable=False),
    # Invariant I4: no two promotions share an epoch.
    PrimaryKeyConstraint("pipeline", "epoch"),
    UniqueConstraint("pipeline", "rolled_back_epoch", name="one_rollback_an_epoch"),
)

challengers = Table(
    "ledger_challengers",
    metadata,
    Column("decision_id", ForeignKey("ledger_decisions.id"), nullable=False),
    Column("pipeline", String, nullable=False),
    Column("request_id", ForeignKey("ledger_requests.id"), nullable=False),
    Column("awaits", String, nullable=False),
    Column("version", String, nullable=False),
    Column("tested_version", String),
    Column("digest", String, nullable=False),
    Column("package_uri", String, nullable=False),
    Column("expected_epoch", BigInteger, nullable=False),
    Column("as_of", UtcTime, nullable=False),
    # The decision that ended the wait; none: it waits still.
    Column("settled_by", ForeignKey("ledger_decisions.id"), unique=True),
    PrimaryKeyConstraint("decision_id"),
    # Who waits for the same place is compared with the same champion: one at a time.
    Index(
        "one_challenger_waits",
        "pipeline",
        unique=True,
        sqlite_where=text("settled_by IS NULL"),
        postgresql_where=text("settled_by IS NULL"),
    ),
)

verdicts = Table(
    "ledger_verdicts",
    metadata,
    Column("pipeline", String, nullable=False),
    Column("window_end", UtcTime, nullable=False),
    Column("policy", String, nullable=False),
    Column("action", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("cause", String),
    Column("request_id", ForeignKey("ledger_requests.id")),
    Column("as_of", UtcTime, nullable=False),
    Column("written_at", UtcTime, nullable=False),
    PrimaryKeyConstraint("pipeline", "window_end", "policy"),
)

marks = Table(
    "ledger_marks",
    metadata,
    Column("pipeline", String, nullable=False),
    Column("name", String, nullable=False),
    Column("value", String, nullable=False),
    PrimaryKeyConstraint("pipeline", "name"),
)

faults = Table(
    "ledger_faults",
    metadata,
    Column("pipeline", String, nullable=False),
    Column("key", String, nullable=False),
    Column("fault", String, nullable=False),
    Column("column", String, nullable=False),
    Column("evidence", String, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("ids", Listed, nullable=False),
    Column("found_as_of", UtcTime, nullable=False),
    # How it grew: each sight with its moment, so that the past can be asked.
    Column("seen", Listed, nullable=False),
    Column("written_at", UtcTime, nullable=False),
    Column("state", String, nullable=False),
    Column("ended_as_of", UtcTime),
    Column("who", String, nullable=False),
    Column("why", String, nullable=False),
    PrimaryKeyConstraint("pipeline", "key"),
)
