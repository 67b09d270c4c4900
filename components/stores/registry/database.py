"""MLflow's own database in a home: made once, under a lock; and mended after a move."""

import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from components.errors import StoreError, StoreUnreachableError
from components.stores.registry.asking import asking, shown, unreachable

SQLITE = "sqlite:///"
_PATIENCE = 120.0
# Every column of MLflow's tables that holds an absolute path into the artifact folder.
_PATHS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def is_database(uri: str) -> bool:
    """Say whether we talk to a database ourselves, not to a server."""
    return uri.split("://", 1)[0].split("+", 1)[0] in {"sqlite", "postgresql", "mysql", "mssql"}


def check_kind(uri: str) -> None:
    """Refuse MLflow's file store, which it no longer supports.

    Raises
    ------
    StoreError
        If the address names a folder.

    """
    if is_database(uri) or "://" in uri.removeprefix("file://"):
        return
    raise StoreError(
        f"MLflow's runs must be in a database or on a server; {uri!r} is a folder. Set "
        "mlflow_tracking_uri to sqlite:///…/mlflow.db or http://…, or leave it empty"
    )


def open_database(uri: str, artifacts: Path) -> None:
    """Make MLflow's tables where they are missing; one process at a time.

    Parameters
    ----------
    uri : str
        ``sqlite:///…``; other databases are made under MLflow's own lock.
    artifacts : Path
        Where the default experiment's files would go; without it MLflow would write the
        working directory into the database.

    """
    with warnings.catch_warnings():
        # MLflow's tables use what SQLAlchemy 2.1 will one day remove; nobody here can mend that.
        warnings.simplefilter("ignore", DeprecationWarning)
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with _alone(uri), asking("open its database", uri):
        _check_openable(uri)
        SqlAlchemyStore(uri, str(artifacts))


def _check_openable(uri: str) -> None:
    """Ask SQLite itself; MLflow would try for a hundred seconds before it gives up.

    Raises
    ------
    StoreUnreachableError
        If the file cannot be opened, or is no database.

    """
    if not uri.startswith(SQLITE):
        return
    try:
        with closing(sqlite3.connect(uri.removeprefix(SQLITE), timeout=30)) as connection:
            connection.execute("PRAGMA schema_version")
    except sqlite3.Error as problem:
        raise unreachable(uri, str(problem)) from problem


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    if not uri.startswith(SQLITE):
        yield
        return
    file = Path(uri.removeprefix(SQLITE))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # A kernel lock: that of a killed process does not outlive it.
        with FileLock(f"{file}.lock", timeout=_PATIENCE):
            yield
    except Timeout as problem:
        raise StoreUnreachableError(
            f"{file}.lock was held by another process for {_PATIENCE:.0f} s; see which "
            "driftwheel process hangs, end it and try again"
        ) from problem
    except PermissionError as problem:
        raise StoreUnreachableError(
            f"cannot write {shown(uri)} ({problem.strerror}); give yourself write access to "
            f"{file.parent}, or choose another home"
        ) from problem


def recorded_root(uri: str, artifacts: Path, owner_tag: str) -> str | None:
    """Find the artifact folder that the database names, where it is not `artifacts`.

    Returns
    -------
    str or None
        The folder as it was before the move; None when nothing has moved.

    """
    query = (
        "SELECT artifact_location FROM experiments JOIN experiment_tags USING (experiment_id) "
        "WHERE key = :tag ORDER BY experiment_id"
    )
    with _connected(uri) as connection:
        found = [row[0] for row in connection.execute(_text(query), {"tag": owner_tag})]
    roots = (location.rpartition("/")[0] for location in found if location)
    return next((root for root in roots if root != str(artifacts)), None)


def rewrite_root(uri: str, old: str, new: Path) -> int:
    """Replace the artifact folder in every path of the database, in one transaction.

    Returns
    -------
    int
        How many paths were changed.

    """
    changed = 0
    with _alone(uri), _connected(uri) as connection:
        for table, column in _PATHS:
            done = connection.execute(
                _text(
                    f"UPDATE {table} SET {column} = :new || substr({column}, :after) "  # noqa: S608 - names from the fixed list above
                    f"WHERE substr({column}, 1, :length) = :old"
                ),
                {"new": f"{new}/", "old": f"{old}/", "length": len(old) + 1, "after": len(old) + 2},
            )
            changed += done.rowcount
    return changed


@contextmanager
def _connected(uri: str) -> Iterator[Any]:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    engine = create_engine(uri)
    try:
        with engine.begin() as connection:
            yield connection
    except SQLAlchemyError as problem:
        words = str(problem).splitlines()[0]
        raise StoreError(f"the database {shown(uri)} could not be read: {words}") from problem
    finally:
        engine.dispose()


def _text(sql: str) -> Any:
    from sqlalchemy import text

    return text(sql)
