"""What a person reads goes to standard error with colour; JSON alone goes to standard output."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table


def console(*, as_json: bool = False) -> Console:
    """Give the console for tables: standard output, or standard error when that holds JSON."""
    return Console(stderr=as_json, highlight=False)


def say(message: str) -> None:
    """Tell the person at the terminal something; never mixed into a result."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(message, markup=False)


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
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal) as bar:
        task = bar.add_task(message, total=1.0)

        def told(what: str, share: float) -> None:
            bar.update(task, description=what, completed=share)

        yield told
