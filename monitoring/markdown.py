"""Markdown that reads well as it stands, and the same however often it is made."""

from collections.abc import Iterable, Sequence
from datetime import datetime

UNKNOWN = "-"

_SPECIAL = str.maketrans(
    {"|": "\\|", "<": "&lt;", ">": "&gt;", "*": "\\*", "`": "'", "[": "\\[", "]": "\\]"}
)


def words(text: object) -> str:
    r"""Write text of others on one line, so that nothing in it means anything to Markdown.

    >>> words("a | b")
    'a \\| b'
    """
    return " ".join(str(text).translate(_SPECIAL).split())


def number(value: float | None) -> str:
    """Write a number with four significant digits.

    >>> number(41.03821), number(123456.7), number(0.0000123), number(None)
    ('41.04', '123,457', '1.23e-05', '-')
    """
    if value is None:
        return UNKNOWN
    if abs(value) >= 10_000 or (isinstance(value, int) and value >= 1000):  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.4g}"


def percent(share: float | None) -> str:
    """Write a share."""
    return UNKNOWN if share is None else f"{100 * share:.1f} %"


def between(low: float | None, high: float | None) -> str:
    """Write two bounds; one that is not known is left open."""
    if low is None and high is None:
        return UNKNOWN
    return f"{number(low)} to {number(high)}"


def moment(time: datetime | str) -> str:
    """Write a moment in UTC, to the minute."""
    read = datetime.fromisoformat(time) if isinstance(time, str) else time
    return f"{read:%Y-%m-%d %H:%M}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    r"""Write a table, its columns aligned; nothing where there are no rows.

    >>> print("\n".join(table(["a", "metric"], [["1", "mae"]])))
    | a   | metric |
    | --- | ------ |
    | 1   | mae    |
    """
    body = [list(row) for row in rows]
    if not body:
        return []
    widths = [max(3, *(len(row[place]) for row in [header, *body])) for place in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    return [line(header), line(["-" * width for width in widths]), *map(line, body)]
