"""Whether the gate's rows are unseen: a model proves nothing on rows that it has learnt from."""

import pandas as pd

from components.errors import SeenRowsError
from components.records import EVENT_TIME, RECORD_ID

_SHOWN = 3


def refuse_seen_rows(
    rows: pd.DataFrame, *, champion_seen_until: pd.Timestamp | None, challenger_rows: pd.DataFrame
) -> None:
    """Let pass only rows that neither side was fitted on.

    Parameters
    ----------
    rows : DataFrame of shape (n_rows, n_columns)
        The rows to judge on, with `record_id` and `event_time`.
    champion_seen_until : Timestamp, optional
        Event time (UTC) of the newest row that the champion was fitted on: rows of that
        moment or earlier count as seen. None while no model is in charge.
    challenger_rows : DataFrame of shape (n_learnt, n_columns)
        The rows that the tested challenger was fitted on, with `record_id`.

    Raises
    ------
    SeenRowsError
        If either side was fitted on any of them; says which, how many, and names a few.

    """
    if champion_seen_until is not None:
        seen = rows[rows[EVENT_TIME] <= champion_seen_until]
        if len(seen):
            raise SeenRowsError(
                f"the gate needs rows newer than what the champion was fitted on (events until "
                f"{champion_seen_until:%Y-%m-%d %H:%M}). Got {_few(seen, len(rows))}; "
                "hold out newer rows, or wait for them"
            )
    learnt = rows[rows[RECORD_ID].isin(challenger_rows[RECORD_ID])]
    if len(learnt):
        raise SeenRowsError(
            f"the gate needs rows that the challenger was not fitted on. Got "
            f"{_few(learnt, len(rows))}; fit it on the rows before the holdout only"
        )


def _few(seen: pd.DataFrame, count: int) -> str:
    named = ", ".join(map(str, seen[RECORD_ID].head(_SHOWN)))
    more = ", …" if len(seen) > _SHOWN else ""
    return f"{len(seen)} of {count} rows that it has seen ({named}{more})"
