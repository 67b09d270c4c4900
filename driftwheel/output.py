"""What a person reads goes to standard error with colour; JSON alone goes to standard output."""

import json
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

_WIDEST = 110  # characters; a longer line loses the eye on its way back
_NARROWEST = 40
_GLUED = "\u00a0"  # no line ends between a number and its unit


def console(*, as_json: bool = False) -> Console:
    """Give the console for tables: standard output, or standard error when that holds JSON."""
    return Console(stderr=as_json, highlight=False)


def say(message: str, *, quietly: bool = False) -> None:
    """Tell the person at the terminal something; never mixed into a result."""
    shown = Console(stderr=True, highlight=False, soft_wrap=True)
    shown.print(message, markup=False, style="dim" if quietly else None)


def in_words(time: str) -> str:
    """Write an ISO time for a person: to the minute, and without its midnight.

    >>> in_words("2011-03-10T00:00:00+00:00"), in_words("2011-03-10T13:00:00+00:00")
    ('2011-03-10', '2011-03-10 13:00')
    """
    return time[:16].replace("T", " ").removesuffix(" 00:00")


def hang(console: Console, head: str, words: str, *, style: str = "") -> None:
    """Print words beside their head, each further line below the first; nothing trails a line."""
    width = max(_NARROWEST, min(console.width, _WIDEST))
    below = "\n" + " " * len(head)
    line = Text.assemble((head, style), below.join(wrapped(words, width - len(head))))
    console.print(line, soft_wrap=True)


def wrapped(words: str, width: int) -> list[str]:
    """Break words into lines; a number and its per cent stay together."""
    glued = words.replace(" %", f"{_GLUED}%")
    lines = textwrap.wrap(glued, width, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_GLUED, " ") for line in lines] or [""]


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out rows under their head: the first column to the left, the numbers to the right.

    >>> aligned(["policy", "mae"], [["never", "109.1"], ["drift", "42.9"]])
    ['policy    mae', 'never   109.1', 'drift    42.9']
    """
    every = [head, *rows]
    widths = [max(len(row[place]) for row in every) for place in range(len(head))]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in every
    ]


def print_json(value: Any) -> None:
    """Write one JSON document to standard output."""
    from flows.steps.telling import plain

    json.dump(plain(value), sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def table(title: str, *columns: str) -> Table:
    """Make an empty table in the house style."""
    made = Table(
        title=title,
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    for place, column in enumerate(columns):
        made.add_column(column, overflow="fold", no_wrap=place == 0)
    return made


class Progressing:
    """A line that says what is being done; silent when standard error is no terminal."""

    def __init__(self, progress: Progress, task: Any) -> None:
        self._progress, self._task = progress, task

    def __call__(self, message: str) -> None:
        """Say what is being done now."""
        self._progress.update(self._task, description=message)


@contextmanager
def working(message: str) -> Iterator[Progressing]:
    """Show that work goes on, and for how long."""
    shown = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal) as bar:
        yield Progressing(bar, bar.add_task(message, total=None))


@contextmanager
def measured(message: str) -> Iterator[Callable[[str, float], None]]:
    """Show how far long work has come: what is being done, and the share that is done."""
    shown = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal) as bar:
        task = bar.add_task(message, total=1.0)

        def told(what: str, share: float) -> None:
            bar.update(task, description=what, completed=share)

        yield told
