"""Opening a ledger: many at once, of any age, and in words where it cannot be."""

import os
import socket
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from components.errors import StoreError, StoreUnreachableError
from components.stores.ledger import open_ledger
from components.stores.ledger.placing import refuse_network_share
from components.stores.ledger.tables import HEAD, VERSION_TABLE, metadata

NOBODY = 65534


def test_sixteen_cold_starts_at_once_open_one_ledger(url, at_once):
    def start(_number):
        with closing(open_ledger(url)) as own:
            own.set_mark("bikeshare", "started", "yes")
            return own.ledger_id

    answers = at_once(16, start)
    assert len(set(answers)) == 1, answers
    assert "Error" not in answers[0]


def test_a_ledger_keeps_its_identity_and_its_rows(url, ask, ledger):
    request, _ = ask("drift:2012-03-01")
    with closing(open_ledger(url)) as again:
        assert again.ledger_id == ledger.ledger_id
        assert again.find(request.id) == request


def test_a_closed_ledger_opens_again_by_itself(ledger):
    ledger.close()
    assert ledger.champion("bikeshare") is None


def test_the_migrations_lead_to_the_tables_that_the_code_knows(ledger):
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    with ledger._database.engine.connect() as connection:
        options = {
            "version_table": VERSION_TABLE,
            "include_object": lambda _object, name, *_more: name != VERSION_TABLE,
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_the_newest_migration_is_the_one_that_the_code_names():
    from alembic.script import ScriptDirectory

    folder = Path(open_ledger.__code__.co_filename).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == HEAD


def test_foreign_tables_in_the_same_database_are_left_alone(url):
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('of-mlflow')"))
        connection.execute(text("CREATE TABLE requests (id INTEGER)"))
    open_ledger(url).close()
    with engine.begin() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    engine.dispose()
    assert found == "of-mlflow"


def test_a_ledger_newer_than_the_code_is_refused_and_left_as_it_is(url, ledger):
    with ledger._database.engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(
        StoreUnreachableError, match=r"of revision 9999, newer than this .* \(0003\)"
    ):
        open_ledger(url)
    with ledger._database.engine.begin() as connection:
        assert connection.execute(text(f"SELECT * FROM {VERSION_TABLE}")).scalars().all() == [
            "9999"
        ]


def test_sqlite_writes_ahead_and_forces_every_commit_to_disk(tmp_path):
    asked = ("journal_mode", "synchronous", "foreign_keys")
    with (
        closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger,
        ledger._database.reading() as connection,
    ):
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
    assert found == ["wal", 2, 1]  # 2: FULL


def test_sixteen_writers_at_once_lose_nothing(url, ledger, at_once):
    def write(number):
        with closing(open_ledger(url)) as own:
            for turn in range(10):
                own.set_mark(f"pipeline-{number}", f"mark-{turn}", "written")

    assert at_once(16, write) == [None] * 16
    for number in range(16):
        assert ledger.mark(f"pipeline-{number}", "mark-9") == "written"


@pytest.mark.parametrize(
    "url",
    [
        "ledger.db",
        "mysql://root:secret@localhost/ledger",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://me:secret@localhost:port/ledger",
        "",
    ],
    ids=["no URL", "another database", "no file", "memory", "a port in letters", "empty"],
)
def test_a_wrong_url_says_what_is_needed_and_never_the_password(url):
    with pytest.raises(StoreUnreachableError) as raised:
        open_ledger(url)
    assert "must be sqlite:///FILE or postgresql://USER@HOST/DATABASE" in str(raised.value)
    assert "mend `ledger` in driftwheel.toml" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(StoreUnreachableError, match=r"needs the folder .*/nowhere, which does not"):
        open_ledger(f"sqlite:///{tmp_path / 'nowhere' / 'ledger.db'}")


def test_a_folder_in_the_place_of_the_file_is_an_error_in_words(tmp_path):
    (tmp_path / "ledger.db").mkdir()
    with pytest.raises(StoreUnreachableError, match="cannot be opened; check that it is a file"):
        open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


def test_a_file_of_another_kind_is_left_alone(tmp_path):
    file = tmp_path / "ledger.db"
    file.write_text("this is not a database, but somebody's notes; " * 50)
    with pytest.raises(StoreUnreachableError, match="is no SQLite database"):
        open_ledger(f"sqlite:///{file}")
    assert file.read_text().startswith("this is not")


def test_a_ledger_that_may_only_be_read_can_be_read_but_says_no_to_a_writer(tmp_path, now):
    file = tmp_path / "ledger.db"
    open_ledger(f"sqlite:///{file}").close()
    with closing(open_ledger(f"sqlite:///file:{file}?mode=ro&uri=true")) as ledger:
        assert ledger.decisions() == []
        with pytest.raises(
            StoreUnreachableError, match="cannot be written; make it and its folder"
        ):
            ledger.set_mark("bikeshare", "name", "value")


def test_a_folder_that_may_only_be_read_is_an_error_in_words(at_once):
    import filelock  # before the child gives up its rights to read our files
    import psutil

    assert filelock
    assert psutil

    def open_without_rights(_number):
        if os.geteuid() == 0:  # root may write anywhere
            os.seteuid(NOBODY)
        open_ledger(f"sqlite:///{folder}/ledger.db")

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        (answer,) = at_once(1, open_without_rights)
    assert answer.startswith("StoreUnreachableError")
    assert "make the file and its folder writable" in answer


def test_killed_in_the_middle_of_a_migration_the_next_start_makes_it_whole(url, killed_at):
    killed_at("before-migration-commit", lambda: open_ledger(url))
    with closing(open_ledger(url)) as ledger:
        assert ledger.decisions() == []


def test_a_server_whose_writer_waits_too_long_says_so(server, postgres_url, monkeypatch):
    monkeypatch.setattr("components.stores.ledger.connecting.BUSY_SECONDS", 1)
    with (
        closing(open_ledger(postgres_url)) as ledger,
        closing(open_ledger(postgres_url)) as other,
        other._database.writing(),
        pytest.raises(StoreUnreachableError, match="was busy for"),
    ):
        ledger.set_mark("bikeshare", "name", "value")


def test_a_writer_that_waits_too_long_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("components.stores.ledger.connecting.BUSY_SECONDS", 0)
    file = tmp_path / "ledger.db"
    with (
        closing(open_ledger(f"sqlite:///{file}")) as ledger,
        closing(sqlite3.connect(file, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnreachableError, match="was busy for"):
            ledger.set_mark("bikeshare", "name", "value")
        assert ledger.mark("bikeshare", "name") is None
        other.execute("ROLLBACK")
        ledger.set_mark("bikeshare", "name", "value")


def test_a_server_that_does_not_answer_is_named():
    pytest.importorskip("psycopg", reason="PostgreSQL: psycopg is not installed")
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(StoreUnreachableError, match="does not answer; check that its server is up"):
        open_ledger(f"postgresql://postgres@127.0.0.1:{port}/ledger")


def test_a_database_that_is_not_there_is_named(server):
    with pytest.raises(StoreUnreachableError, match="does not exist there; create the database"):
        open_ledger("postgresql://postgres:secret@127.0.0.1:5432/driftwheel_nowhere")


def test_a_missing_driver_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(StoreUnreachableError, match=r"pip install 'driftwheel\[postgres\]'"):
        open_ledger("postgresql://postgres@127.0.0.1/ledger")


def test_a_connection_cut_between_two_calls_is_made_again(server, postgres_url):
    with closing(open_ledger(postgres_url)) as ledger:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [postgres_url.rpartition("/")[2]],
        )
        ledger.set_mark("bikeshare", "name", "value")
        assert ledger.mark("bikeshare", "name") == "value"


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs"])
def test_a_file_on_a_network_share_is_refused(tmp_path, kind):
    mounts = {"/": "ext4", str(tmp_path): kind}
    with pytest.raises(StoreUnreachableError, match=rf"network share \({kind}\)"):
        refuse_network_share(tmp_path / "home" / "ledger.db", mounts)


def test_a_local_disk_mounted_inside_a_share_is_fine(tmp_path):
    mounts = {"/": "nfs", str(tmp_path): "ext4"}
    refuse_network_share(tmp_path / "ledger.db", mounts)


def test_a_row_that_breaks_a_rule_is_an_error_in_words(ledger, now):
    with pytest.raises(StoreError, match=r"refused a row .* nothing was changed"):
        ledger.write_verdict(
            "bikeshare",
            window_end=None,
            action="retrain",
            reason="r",
            policy="drift",
            request_id="rr-unknown",
            as_of=now,
            now=now,
        )


def test_a_ledger_never_shows_its_password(tmp_path):
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        assert repr(ledger) == f"Ledger('sqlite:///{tmp_path / 'ledger.db'}')"
