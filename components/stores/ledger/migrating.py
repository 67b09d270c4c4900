"""Bring a ledger to the newest form; any number of processes may start at once."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from components.errors import StoreUnreachableError
from components.failpoints import failpoint
from components.stores.ledger.connecting import Database
from components.stores.ledger.tables import HEAD, VERSION_TABLE

_LOCK_SECONDS = 60


def bring_up_to_date(database: Database) -> None:
    """Migrate, unless it is current already; killed in the middle, it was as before.

    Raises
    ------
    StoreUnreachableError
        If the database does not answer, cannot be written, or is newer than this code.

    """
    if database.file is None:
        _migrate(database)
    elif not _has_content(database.file) or _revision(database) != HEAD:
        _migrate_file(database, database.file)


def _has_content(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError as problem:
        raise _unopenable(file, problem) from problem


def _revision(database: Database) -> str | None:
    with database.reading() as connection:
        return _read_revision(connection)


def _read_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - our own constant


def _migrate_file(database: Database, file: Path) -> None:
    """Migrate SQLite under a lock of the kernel's, which a killed process cannot leave behind.

    The database's own lock is not enough: switching to WAL has to happen outside of any
    transaction, and fails at once when somebody reads.
    """
    import filelock

    lock = filelock.FileLock(f"{file}.lock", timeout=_LOCK_SECONDS)
    try:
        with lock:
            _switch_to_wal(database)
            _migrate(database)
    except filelock.Timeout as problem:
        raise StoreUnreachableError(
            f"the ledger {file} has been in migration elsewhere for {_LOCK_SECONDS} s; "
            "end the process that holds it and try again"
        ) from problem
    except PermissionError as problem:
        raise _unopenable(file, problem) from problem


def _unopenable(file: Path, problem: OSError) -> StoreUnreachableError:
    return StoreUnreachableError(
        f"the ledger {file} cannot be opened ({problem.strerror}); "
        "make the file and its folder writable for this user"
    )


def _switch_to_wal(database: Database) -> None:
    """Let readers and a writer work side by side; the file remembers it."""
    with database.in_words():
        raw = database.engine.raw_connection()
        try:
            raw.cursor().execute("PRAGMA journal_mode=WAL")
        finally:
            raw.close()


def _migrate(database: Database) -> None:
    """Apply what is missing in one transaction."""
    if database.file is None and _revision(database) == HEAD:
        return
    with database.writing() as connection:
        found = _read_revision(connection)
        if found != HEAD:
            _upgrade(connection, found, database.shown)
            failpoint("before-migration-commit")


def _upgrade(connection: Connection, found: str | None, shown: str) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(Path(__file__).parent / "migrations"))
    known = {step.revision for step in script.walk_revisions()}
    if found is not None and found not in known:
        raise StoreUnreachableError(
            f"the ledger {shown} is of revision {found}, newer than this Driftwheel knows "
            f"({HEAD}); nothing was changed: install the version that wrote it, or a newer one"
        )
    # alembic's own `upgrade` command does the same, but only with an env.py that acts on import.
    way = script._upgrade_revs  # noqa: SLF001 - the one way to it without such a file
    steps = EnvironmentContext(Config(), script, fn=lambda revision, _context: way(HEAD, revision))
    with steps:
        steps.configure(
            connection=connection,
            version_table=VERSION_TABLE,
            transactional_ddl=True,  # SQLite's is, once the driver is kept from committing
            transaction_per_migration=False,
        )
        steps.run_migrations()
