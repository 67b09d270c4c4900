"""A function of the user's own as a source: ``module:function`` in HOME/code."""

import importlib.util
import itertools
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pyarrow as pa

from components.errors import SourceError
from components.sources.parts import Part, chosen, regroup

_WANTED = "pandas DataFrames, Arrow tables or record batches"


@dataclass(frozen=True, slots=True)
class FunctionFeed:
    """A source that is a function, called with `since`: a UTC datetime, or None for everything.

    It yields the rows that happened, changed or got their label since then; more may come.

    Parameters
    ----------
    name : str
        ``module:function``.
    folder : Path
        HOME/code. It is on the import path only while the user's code runs.
    needed : sequence of str
    waits : timedelta
        How long after its event a row is given its label: rows so young are asked for again.
    hidden : callable
        Takes what must not be shown out of a text.

    """

    name: str
    folder: Path
    needed: tuple[str, ...]
    waits: timedelta
    hidden: Callable[[str], str]

    @property
    def shown(self) -> str:
        """``module:function``."""
        return self.name

    def parts(self, *, since: pd.Timestamp | None = None) -> Iterator[Part]:
        """Call the function: one part, none where it yields nothing."""
        since = None if since is None else since - self.waits
        begun = self._batches(since)
        first = next(begun, None)
        if first is None:
            return
        names = tuple(first.schema.names)
        columns = chosen(names, self.needed, self.shown)
        waiting = [(first, begun)]

        def read() -> Iterator[pa.RecordBatch]:
            head, rest = waiting.pop() if waiting else (None, self._batches(since))
            given = _chain(head, rest)
            return regroup(self._pick(given, names, columns))

        yield Part(self.shown, names, read)

    def _pick(
        self, batches: Iterable[pa.RecordBatch], names: tuple[str, ...], columns: list[str]
    ) -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(batches, start=1):
            if set(batch.schema.names) != set(names):
                raise SourceError(
                    f"{self.shown} must yield the same columns in every batch; write None where a "
                    f"value is missing. The first had {', '.join(names)}; batch {number} has "
                    f"{', '.join(batch.schema.names)}"
                )
            yield batch.select(columns)

    def _batches(self, since: pd.Timestamp | None) -> Iterator[pa.RecordBatch]:
        """Run the user's code; every error in it is told with its place."""
        with self._running("before its first batch"):
            found = self._load()(None if since is None else since.to_pydatetime())
        if isinstance(found, pd.DataFrame | pa.Table | pa.RecordBatch):
            found = [found]
        if not isinstance(found, Iterable):
            raise SourceError(f"{self.shown} must yield {_WANTED}. Got {type(found).__name__}")
        each = iter(found)
        for number in itertools.count(1):
            with self._running(f"on its way to batch {number}"):
                given = next(each, None)
            if given is None:
                return
            yield from self._as_batches(given, number)

    def _as_batches(self, given: object, number: int) -> Iterator[pa.RecordBatch]:
        if isinstance(given, pd.DataFrame):
            given = _table_of(given)
        if isinstance(given, pa.Table):
            # One without rows still says which columns there are.
            yield from given.to_batches() or [_empty(given.schema)]
        elif isinstance(given, pa.RecordBatch):
            yield given
        else:
            raise SourceError(
                f"{self.shown} must yield {_WANTED}. Got {type(given).__name__} as batch {number}"
            )

    def _load(self) -> Callable[[Any], Any]:
        module, _, function = self.name.partition(":")
        base = self.folder.joinpath(*module.split("."))
        file = next(
            (f for f in (base.with_suffix(".py"), base / "__init__.py") if f.is_file()), None
        )
        if file is None:
            raise SourceError(
                f"source.python names {self.name}, but {base.with_suffix('.py')} does not exist; "
                f"put the module into {self.folder}"
            )
        found = getattr(_import(file, module), function, None)
        if not callable(found):
            raise SourceError(f"{file} has no function {function!r}, which source.python names")
        return found  # type: ignore[no-any-return]

    @contextmanager
    def _running(self, place: str) -> Iterator[None]:
        try:
            with _importable(self.folder):
                yield
        except SourceError:
            raise
        except (Exception, SystemExit) as problem:  # noqa: BLE001 - anybody's code, told in words
            said = self.hidden(f"{type(problem).__name__}: {problem}")
            raise SourceError(
                f"{self.shown} failed {place}: {said} ({self._line(problem)}). "
                "Nothing of this delivery was kept; mend it and run this again"
            ) from None

    def _line(self, problem: BaseException) -> str:
        """Find the innermost line of the user's own code."""
        frames = traceback.extract_tb(problem.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).is_relative_to(self.folder)]
        if own:
            return f"{own[-1].filename}, line {own[-1].lineno}"
        if isinstance(problem, SyntaxError):
            return f"{problem.filename}, line {problem.lineno}"
        return f"in {self.folder}"


def _chain(
    first: pa.RecordBatch | None, rest: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    if first is not None:
        yield first
    yield from rest


def _import(file: Path, module: str) -> ModuleType:
    """Load a module from its file, under a name that nobody else uses."""
    spec = importlib.util.spec_from_file_location(f"_dw_source_{module}", file)
    assert spec is not None  # noqa: S101 - a .py file always has a loader
    assert spec.loader is not None  # noqa: S101 - as above
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let modules of a folder import each other, and nobody else afterwards.

    Another home may have a module of the same name, so none stays behind.
    """
    place = str(folder)
    before = set(sys.modules)
    sys.path.insert(0, place)
    try:
        yield
    finally:
        sys.path.remove(place)
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(folder):
                del sys.modules[name]


def _table_of(frame: pd.DataFrame) -> pa.Table:
    """Turn a frame of any kind into a table: what Arrow cannot type comes as text."""
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    names = [str(name) for name in frame.columns]
    arrays = [_array(frame.iloc[:, place]) for place in range(len(names))]
    return pa.Table.from_arrays(arrays, names=names)


def _array(values: pd.Series) -> pa.Array | pa.ChunkedArray:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        text = [None if value is None or value is pd.NaT else str(value) for value in values]
        return pa.array(
            [None if t is None else t.encode("utf-8", "replace").decode() for t in text],
            pa.string(),
        )


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(0, f.type) for f in schema], schema=schema)
