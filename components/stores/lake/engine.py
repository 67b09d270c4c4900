"""The DuckDB engines of a process: to start one costs 20 ms, a connection to it nothing.

Views and temporary tables belong to the connection, so questions do not see each other's.
"""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TypeAlias

import duckdb

Config: TypeAlias = dict[str, str | bool | int | float | list[str]]

# Nothing is fetched from the network at run time, and nothing read is kept after its question.
_CONFIG: Config = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_file_cache": "false",
}
# Two threads: each holds what it groups and joins by.
_BOUNDED: Config = {
    "memory_limit": "512MB",
    "threads": 2,
    "preserve_insertion_order": "false",
}

_lock = Lock()
# By process (one that was forked has none of its parent's threads) and folder; None: not yet.
_engines: dict[tuple[int, str], duckdb.DuckDBPyConnection | None] = {}


def connect(spill: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open a connection of one's own; who opened it closes it.

    Parameters
    ----------
    spill : Path, optional
        A folder for what does not fit into 512 MB; without one all memory may be taken. See
        :func:`spilling` for how to ask many bounded questions.

    """
    folder = "" if spill is None else str(spill)
    key = (os.getpid(), folder)
    with _lock:
        if folder and key not in _engines:
            return duckdb.connect(config=_config_of(folder))
        engine = _engines.get(key)
        if engine is None:
            engine = _engines[key] = duckdb.connect(config=_config_of(folder))
        return engine.cursor()


def same_everywhere(connection: duckdb.DuckDBPyConnection) -> None:
    """Set a connection to UTC, and let it draw nothing: a progress bar would stand in ``--json``.

    The bar is asked for first: in a notebook it is off, and to switch it takes a package there
    that may be missing.
    """
    connection.execute("set TimeZone = 'UTC'")
    ((drawn,),) = connection.execute("select current_setting('enable_progress_bar')").fetchall()
    if drawn:
        connection.execute("set enable_progress_bar = false")


@contextmanager
def spilling(folder: Path) -> Iterator[Path]:
    """Let all connections that spill into a folder share one engine, and one bound, meanwhile."""
    key = (os.getpid(), str(folder))
    with _lock:
        _engines[key] = None
    try:
        yield folder
    finally:
        with _lock:
            engine = _engines.pop(key)
        if engine is not None:
            engine.close()


def _config_of(folder: str) -> Config:
    return {**_CONFIG, **_BOUNDED, "temp_directory": folder} if folder else _CONFIG


@atexit.register
def _close_all() -> None:
    for (pid, _), engine in _engines.items():
        if engine is not None and pid == os.getpid():
            engine.close()
    _engines.clear()
