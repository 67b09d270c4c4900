"""Verdicts, one a window and policy; and marks, small facts by name."""

from sqlalchemy import ColumnElement, Connection, select, update

from components.stores.ledger.rows import as_row, choose, every, one
from components.stores.ledger.tables import marks, verdicts
from components.stores.ledger.values import WrittenVerdict


def write(connection: Connection, verdict: WrittenVerdict) -> bool:
    """Write a verdict, unless there is one on that window by that policy.

    An earlier `hold` gives way to a data fault: it was judged on rows that are set aside now.
    """
    found = _find(connection, verdict)
    if found is None:
        connection.execute(verdicts.insert(), as_row(verdict))
        return True
    if (found.action, verdict.action) != ("hold", "data_fault"):
        return False
    connection.execute(update(verdicts).where(_same(verdict)).values(**as_row(verdict)))
    return True


def write_retrain(connection: Connection, verdict: WrittenVerdict) -> None:
    """Write a verdict to retrain; an earlier `hold` on the same window gives way to it.

    The window may be the newest one for days while a cooldown or a maximum age runs out.
    """
    found = _find(connection, verdict)
    if found is None:
        connection.execute(verdicts.insert(), as_row(verdict))
    elif found.action != "retrain":
        connection.execute(update(verdicts).where(_same(verdict)).values(**as_row(verdict)))


def _find(connection: Connection, verdict: WrittenVerdict) -> WrittenVerdict | None:
    query = choose(verdicts, WrittenVerdict).where(_same(verdict))
    return one(connection, query, WrittenVerdict)


def _same(verdict: WrittenVerdict) -> ColumnElement[bool]:
    return (
        (verdicts.c.pipeline == verdict.pipeline)
        & (verdicts.c.window_end == verdict.window_end)
        & (verdicts.c.policy == verdict.policy)
    )


def everything(connection: Connection, pipeline: str) -> list[WrittenVerdict]:
    """Read all verdicts on a pipeline, newest window last."""
    query = choose(verdicts, WrittenVerdict).where(verdicts.c.pipeline == pipeline)
    return every(
        connection, query.order_by(verdicts.c.window_end, verdicts.c.policy), WrittenVerdict
    )


def set_mark(connection: Connection, pipeline: str, name: str, value: str) -> None:
    """Write a fact by name, over the one before."""
    here = (marks.c.pipeline == pipeline) & (marks.c.name == name)
    if connection.execute(update(marks).where(here).values(value=value)).rowcount == 0:
        row = {"pipeline": pipeline, "name": name, "value": value}
        connection.execute(marks.insert(), row)


def mark(connection: Connection, pipeline: str, name: str) -> str | None:
    """Read a fact by name."""
    here = (marks.c.pipeline == pipeline) & (marks.c.name == name)
    found: str | None = connection.execute(select(marks.c.value).where(here)).scalar()
    return found
