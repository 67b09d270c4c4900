"""Where a home is and how it is connected: file, environment, and what may stand in them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from components.errors import SettingsError
from components.failpoints import arm, failpoint
from flows.settings import (
    CLONE,
    Settings,
    arm_failpoints,
    child_environment,
    hide_password,
    load_settings,
    silence_telemetry,
)

Write = Callable[[str], None]


@pytest.fixture
def write(home: Path) -> Write:
    """Write the home's driftwheel.toml."""

    def made(text: str) -> None:
        (home / "driftwheel.toml").write_text(text, encoding="utf-8")

    return made


# --- which home ----------------------------------------------------------------------------------


def test_the_home_on_the_command_line_comes_first(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTWHEEL_HOME", str(tmp_path / "other"))
    assert load_settings(home).home == home


def test_then_the_one_in_the_environment(
    home: Path, tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("")
    monkeypatch.chdir(home)
    monkeypatch.setenv("DRIFTWHEEL_HOME", str(tmp_path / "other"))
    assert load_settings().home == tmp_path / "other"


def test_then_the_nearest_folder_upwards_with_a_config(
    home: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("")
    below = home / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert load_settings().home == home
    (home / "a" / "driftwheel.toml").touch()
    assert load_settings().home == home / "a"


def test_then_the_clone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    assert load_settings().home == CLONE


def test_an_empty_folder_is_a_valid_home_and_stays_empty(home: Path) -> None:
    settings = load_settings(home)
    assert settings.lake_uri == str(home / "lake")
    assert settings.ledger_url == f"sqlite:///{home / 'ledger.db'}"
    assert settings.tracking_uri == f"sqlite:///{home / 'mlruns' / 'mlflow.db'}"
    assert settings.registry_uri == settings.tracking_uri
    assert list(home.iterdir()) == []


def test_a_relative_home_is_made_whole(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home.parent)
    assert load_settings(Path("home")).home == home


def test_pipelines_are_looked_up_in_the_home_then_among_the_shipped(home: Path) -> None:
    assert load_settings(home).pipeline_folders == (home / "pipelines", CLONE / "pipelines")
    assert load_settings(CLONE).pipeline_folders == (CLONE / "pipelines",)


# --- what it says --------------------------------------------------------------------------------


def test_the_file_says_how_a_home_is_connected(home: Path, write: Write) -> None:
    write(
        'environment = "staging"\nprefix = "team-a-"\nlake = "s3://bucket/lake"\n'
        'mlflow_tracking_uri = "http://127.0.0.1:5000"\nledger = "postgresql://u@h/d"\n'
    )
    settings = load_settings(home)
    assert (settings.environment, settings.prefix) == ("staging", "team-a-")
    assert settings.lake_uri == "s3://bucket/lake"
    assert settings.ledger_url == "postgresql://u@h/d"
    assert settings.registry_uri == "http://127.0.0.1:5000"


def test_the_environment_overrides_field_by_field(
    home: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('environment = "staging"\nprefix = "team-a-"\n')
    monkeypatch.setenv("DRIFTWHEEL_PREFIX", "team-b-")
    monkeypatch.setenv("DRIFTWHEEL_ENVIRONMENT", "")
    settings = load_settings(home)
    assert settings.prefix == "team-b-"
    assert settings.environment == "staging", "an empty variable says nothing"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('prefx = "a"', "unknown field 'prefx'; did you mean prefix?"),
        ('mlflow_uri = "a"', "did you mean mlflow_tracking_uri?"),
        ('zzz = "a"', "unknown field 'zzz' (known: environment, prefix,"),
        ('home = "/elsewhere"', "unknown field 'home'"),
        ("prefix = 3", "field 'prefix' must be text. Got 3"),
        ("[prefix]\na = 1", "field 'prefix' must be text"),
        ("prefix = ", "is not readable as TOML"),
        ("prefix = 'a'\nprefix = 'b'", "is not readable as TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_the_file(
    home: Path, write: Write, text: str, sentence: str
) -> None:
    write(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(home)
    assert sentence in str(caught.value)
    assert str(home / "driftwheel.toml") in str(caught.value)


def test_bytes_that_are_no_text_are_no_toml(home: Path) -> None:
    (home / "driftwheel.toml").write_bytes(b"prefix = '\xff'")
    with pytest.raises(SettingsError, match="not readable as TOML"):
        load_settings(home)


@pytest.mark.parametrize("prefix", ["Team-", "a b", "ä", "x" * 41, "a/b", "a.b"])
def test_a_prefix_that_prefect_or_mlflow_could_not_hold_is_refused(
    home: Path, write: Write, prefix: str
) -> None:
    write(f'prefix = "{prefix}"')
    with pytest.raises(SettingsError, match="at most 40 lower-case letters"):
        load_settings(home)


# --- secrets -------------------------------------------------------------------------------------


def test_a_secret_is_filled_in_from_the_environment(
    home: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('ledger = "postgresql://driftwheel:${LEDGER_PASSWORD}@db/ledger"')
    monkeypatch.setenv("LEDGER_PASSWORD", "hush")
    assert load_settings(home).ledger_url == "postgresql://driftwheel:hush@db/ledger"


def test_a_secret_that_is_not_set_is_named_with_what_to_do(home: Path, write: Write) -> None:
    write('ledger = "postgresql://u:${DW_NOT_SET_ANYWHERE}@db/ledger"')
    with pytest.raises(SettingsError, match="export DW_NOT_SET_ANYWHERE=") as caught:
        load_settings(home)
    assert "'ledger'" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:hush@db/ledger", "postgresql://u:…@db/ledger"),
        ("postgresql://u:hu@sh@db/ledger", "postgresql://u:…@db/ledger"),
        ("https://:hush@host/api", "https://:…@host/api"),
        ("postgresql://u@db/ledger", "postgresql://u@db/ledger"),
        ("http://127.0.0.1:4200/api", "http://127.0.0.1:4200/api"),
        ("http://host:80/a@b", "http://host:80/a@b"),
        ("sqlite:////var/data/ledger.db", "sqlite:////var/data/ledger.db"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert hide_password(url) == shown


def test_settings_print_without_passwords(home: Path) -> None:
    settings = Settings(
        home=home,
        ledger="postgresql://u:hush@db/ledger",
        prefect_api_url="https://me:hush@prefect/api",
        mlflow_tracking_uri="https://me:hush@mlflow",
    )
    for shown in (repr(settings), str(settings), f"{settings!r}"):
        assert "hush" not in shown
        assert "u:…@db" in shown


# --- children ------------------------------------------------------------------------------------


def test_a_child_gets_our_home_and_no_telemetry(home: Path) -> None:
    environment = child_environment(Settings(home=home), {"PREFECT_API_URL": "http://x/api"})
    assert environment["DRIFTWHEEL_HOME"] == str(home)
    assert environment["PREFECT_API_URL"] == "http://x/api"
    assert environment["DO_NOT_TRACK"] == "1"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert "PATH" in environment


def test_a_child_keeps_the_python_path_after_ours(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    environment = child_environment(Settings(home=home))
    assert environment["PYTHONPATH"] == os.pathsep.join([str(CLONE), "/somewhere"])


def test_a_child_imports_our_packages_whatever_lies_in_its_directory(
    home: Path, tmp_path: Path
) -> None:
    strange = tmp_path / "work"
    for name in ("flows", "components"):
        (strange / name).mkdir(parents=True)
        (strange / name / "__init__.py").write_text("raise SystemExit('the wrong one')")
    told = subprocess.run(
        [sys.executable, "-c", "import flows.settings, components.errors; print(flows.__file__)"],
        cwd=strange,
        env=child_environment(Settings(home=home)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == str(CLONE / "flows" / "__init__.py")


def test_telemetry_is_off_in_this_process_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in child_environment(Settings(home=Path("/"))).keys() - os.environ.keys():
        monkeypatch.setenv(name, "")  # so that it is taken back
    silence_telemetry()
    assert os.environ["DO_NOT_TRACK"] == "1"


def test_failpoints_are_armed_by_name_and_visit(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    monkeypatch.setattr("os.kill", lambda _, number: killed.append(number))
    monkeypatch.setenv("DRIFTWHEEL_FAILPOINTS", "one,two:3")
    arm_failpoints()
    try:
        failpoint("one")
        assert killed == [9]
        failpoint("two")
        failpoint("two")
        assert killed == [9], "the third visit is meant"
        failpoint("two")
        assert killed == [9, 9]
        failpoint("three")
        assert len(killed) == 2
    finally:
        arm({})


# --- where alerts go -----------------------------------------------------------------------------


def test_addresses_of_alerts_are_filled_from_the_environment_and_never_shown(
    home: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[alerts]\nurls = ["${SLACK_URL}", "json://ada:s3cret@127.0.0.1:9000/hook"]\n')
    with pytest.raises(SettingsError, match="SLACK_URL"):
        load_settings(home)
    monkeypatch.setenv("SLACK_URL", "slack://s3cret/s3cret/s3cret")
    settings = load_settings(home)
    assert settings.alerts == (
        "slack://s3cret/s3cret/s3cret",
        "json://ada:s3cret@127.0.0.1:9000/hook",
    )
    assert "s3cret" not in repr(settings)


def test_the_environment_names_addresses_of_alerts_separated_by_blanks_or_commas(
    home: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[alerts]\nurls = ["json://127.0.0.1:9000/hook"]\n')
    monkeypatch.setenv("SLACK_URL", "slack://a/b/c")
    monkeypatch.setenv("DRIFTWHEEL_ALERTS_URLS", "mailto://a,b@x.org json://h/p,${SLACK_URL}")
    assert load_settings(home).alerts == ("mailto://a,b@x.org", "json://h/p", "slack://a/b/c")


@pytest.mark.parametrize("text", ["urls = 'x'", "urls = [1]", "url = ['x']", "level = 'high'"])
def test_a_table_of_alerts_that_is_none_is_refused(home: Path, write: Write, text: str) -> None:
    write(f"[alerts]\n{text}\n")
    with pytest.raises(SettingsError, match=r"\[alerts\] must hold one line"):
        load_settings(home)
