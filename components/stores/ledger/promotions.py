"""Who is in charge: an append-only row of epochs, extended by compare-and-set."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from components.errors import StoreError
from components.stores.ledger.rows import as_row, choose, every, one
from components.stores.ledger.tables import promotions
from components.stores.ledger.values import Decision, NewPromotion, Outcome, Promotion


def champion(connection: Connection, pipeline: str) -> Promotion | None:
    """Read the newest epoch."""
    query = choose(promotions, Promotion).where(promotions.c.pipeline == pipeline)
    return one(connection, query.order_by(promotions.c.epoch.desc()), Promotion)


def epoch(connection: Connection, pipeline: str, number: int | None) -> Promotion | None:
    """Read one epoch."""
    query = choose(promotions, Promotion).where(
        promotions.c.pipeline == pipeline, promotions.c.epoch == number
    )
    return one(connection, query, Promotion)


def previous(connection: Connection, pipeline: str) -> Promotion | None:
    """Read the epoch that a rollback returns to."""
    now = champion(connection, pipeline)
    return epoch(connection, pipeline, now.previous_epoch) if now else None


def everything(connection: Connection, pipeline: str) -> list[Promotion]:
    """Read all epochs, newest last."""
    query = choose(promotions, Promotion).where(promotions.c.pipeline == pipeline)
    return every(connection, query.order_by(promotions.c.epoch), Promotion)


def append(connection: Connection, promotion: Promotion) -> None:
    """Write an epoch; the database refuses one that is there."""
    connection.execute(promotions.insert(), as_row(promotion))


def successor(decision: Decision, new: NewPromotion, old: Promotion | None) -> Promotion:
    """Describe the epoch that follows `old`."""
    return Promotion(
        pipeline=decision.pipeline,
        epoch=new.expected_epoch + 1,
        version=new.version,
        previous_version=old.version if old else None,
        previous_epoch=old.epoch if old else None,
        rolled_back_epoch=None,
        tested_version=new.tested_version,
        digest=new.digest,
        package_uri=new.package_uri,
        decision_id=decision.id,
        at=decision.recorded_at,
        who=new.who,
        as_of=decision.as_of,
    )


def restored(decision: Decision, back_to: Promotion, ended: Promotion) -> Promotion:
    """Describe the epoch that puts `back_to` in charge again.

    A further rollback goes further back: never again to the epoch that was just ended.
    """
    return replace(
        back_to,
        epoch=ended.epoch + 1,
        rolled_back_epoch=ended.epoch,
        decision_id=decision.id,
        at=decision.recorded_at,
        who=decision.who,
        as_of=decision.as_of,
    )


def too_late(outcome: Outcome, new: NewPromotion, found: Promotion | None) -> Outcome:
    """Say that the champion is no longer the one that the challenger was judged against."""
    now = f"epoch {found.epoch} (version {found.version}, {found.who})" if found else "none"
    return replace(
        outcome,
        what="superseded",
        served_version=None,
        first=False,
        why=(
            f"the champion changed meanwhile: judged against epoch {new.expected_epoch}, found "
            f"{now}; version {new.version} was not promoted. Judged: {outcome.why}"
        ),
    )


def ended_by(connection: Connection, pipeline: str, number: int) -> Promotion | None:
    """Read the rollback that put an end to an epoch."""
    query = choose(promotions, Promotion).where(
        promotions.c.pipeline == pipeline, promotions.c.rolled_back_epoch == number
    )
    return one(connection, query, Promotion)


def to_roll_back(
    connection: Connection, pipeline: str, expected_epoch: int
) -> tuple[Promotion, Promotion]:
    """Find the epoch in charge and the one to return to.

    Raises
    ------
    StoreError
        If another epoch is in charge, or there is nothing to return to.

    """
    current = champion(connection, pipeline)
    if current is None:
        raise StoreError(f"{pipeline} has no champion yet, so there is nothing to roll back")
    if current.epoch != expected_epoch:
        raise StoreError(
            f"asked to roll back epoch {expected_epoch} of {pipeline}, found epoch "
            f"{current.epoch} in charge (version {current.version}, {current.who}, "
            f"{_day(current.at)}); look at `driftwheel status {pipeline}` and ask again"
        )
    back_to = epoch(connection, pipeline, current.previous_epoch)
    if back_to is None:
        raise StoreError(
            f"{pipeline} has no earlier champion than version {current.version} to return to; "
            f"train a new one, or `driftwheel promote {pipeline} --version` another"
        )
    return current, back_to


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
