"""The one door through which the environment comes in.

``HOME/driftwheel.toml`` says how this home is connected; ``DRIFTWHEEL_…`` variables override
it, field by field: ``prefix = "team-a-"`` or ``DRIFTWHEEL_PREFIX=team-a-``; what alerts go
to is ``urls`` under ``[alerts]``, or ``DRIFTWHEEL_ALERTS_URLS``, separated by blanks. A value
may name a secret as ``${NAME}``, filled from the environment; no password stands in a file.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from components.errors import SettingsError
from components.failpoints import arm

CLONE = Path(__file__).resolve().parents[1]
"""Where `flows/` lies: the clone, or the installed packages."""

CONFIG_NAME = "driftwheel.toml"
URLS = "urls"
ALERTS = "alerts"
_SECRET = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
# An address may hold commas; one that is followed by another address ends there.
_BETWEEN = re.compile(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://|\$\{)|\s+")
_PREFIX = re.compile(r"^[a-z0-9_-]{0,40}$")
_TABLES = (URLS, ALERTS)
"""Fields that stand in a table of their own; their addresses are never shown."""
_TELEMETRY_OFF = {
    "DO_NOT_TRACK": "1",  # Evidently, and Prefect's client
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
    # Our own output would be interrupted, and --json broken.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # MLflow's 7 tries take four minutes; 4 span the restart of a server.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How one home is connected; read once, handed on as a value."""

    home: Path
    """The user's folder: pipelines, lake, ledger, MLflow's and Prefect's state."""
    environment: str = "local"
    """A name for people: shown in status, tagged on every MLflow run."""
    prefix: str = ""
    """Stands before every pipeline's name in MLflow and Prefect; lower case, at most 40."""
    mlflow_tracking_uri: str = ""
    """An existing MLflow server; empty: a database in HOME/mlruns."""
    mlflow_registry_uri: str = ""
    """An existing model registry, where it is not the tracking server; empty: the same."""
    prefect_api_url: str = ""
    """An existing Prefect server (…/api); empty: the one `up` starts for this home."""
    lake: str = ""
    """Where the Delta tables are: a folder or s3://…; empty: HOME/lake."""
    ledger: str = ""
    """SQLAlchemy URL of the ledger; empty: SQLite in HOME/ledger.db."""
    urls: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Addresses that pipeline files name as ${NAME}; the environment goes first."""
    alerts: tuple[str, ...] = ()
    """Where alerts go, as Apprise takes it; empty: they are logged. Never shown."""

    def place(self, name: str) -> str | None:
        """Look up the address that a pipeline file names as ``${NAME}``; None: unknown here.

        The environment variable NAME goes first, then ``[urls]`` in driftwheel.toml.
        """
        return os.environ.get(name) or self.urls.get(name)

    @property
    def lake_uri(self) -> str:
        """Where the Delta tables are."""
        return self.lake or str(self.home / "lake")

    @property
    def ledger_url(self) -> str:
        """Where the ledger is."""
        return self.ledger or f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def tracking_uri(self) -> str:
        """Where MLflow's runs are."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.home / 'mlruns' / 'mlflow.db'}"

    @property
    def registry_uri(self) -> str:
        """Where MLflow's registered models are."""
        return self.mlflow_registry_uri or self.tracking_uri

    @property
    def pipeline_folders(self) -> tuple[Path, ...]:
        """Where pipelines are looked up: the home first, then the shipped ones."""
        both = (self.home / "pipelines", CLONE / "pipelines")
        return both[:1] if both[0] == both[1] else both

    def __repr__(self) -> str:
        shown = (
            f"{f.name}={hide_password(str(getattr(self, f.name)))!r}"
            for f in fields(self)
            if f.name not in _TABLES
        )
        return f"Settings({', '.join(shown)})"


def load_settings(home: Path | None = None) -> Settings:
    """Read the settings of a home.

    Parameters
    ----------
    home : Path, optional
        As given on the command line; else ``DRIFTWHEEL_HOME``, else the nearest parent of
        the working directory with a ``driftwheel.toml``, else the clone.

    Raises
    ------
    SettingsError
        If a field is unknown, of the wrong kind, or names a secret that is not set.

    """
    environ = os.environ
    root = (home or _find_home(environ)).expanduser().resolve()
    read = _read_file(root / CONFIG_NAME)
    alerts = read.pop(ALERTS, {}).get(URLS, [])
    if environ.get("DRIFTWHEEL_ALERTS_URLS"):
        alerts = _BETWEEN.split(environ["DRIFTWHEEL_ALERTS_URLS"].strip())
    alerts = tuple(_fill("alerts.urls", url, environ) for url in alerts)
    urls = {name: _fill(name, url, environ) for name, url in read.pop(URLS, {}).items()}
    given = {**read, **_read_environment(environ)}
    filled = {key: _fill(key, value, environ) for key, value in given.items()}
    if not _PREFIX.match(filled.get("prefix", "")):
        raise SettingsError(
            "prefix must be at most 40 lower-case letters, digits, '-' or '_'. "
            f"Got {filled['prefix']!r}"
        )
    return Settings(home=root, urls=urls, alerts=alerts, **filled)


def arm_failpoints() -> None:
    """Arm the points named in ``DRIFTWHEEL_FAILPOINTS`` (``name`` or ``name:visit``, by comma)."""
    text = os.environ.get("DRIFTWHEEL_FAILPOINTS", "")
    points = (point.partition(":") for point in text.split(",") if point)
    arm({name: int(visit or 1) for name, _, visit in points})


def silence_telemetry() -> None:
    """Switch off what Prefect, MLflow and Evidently would send home; before importing them."""
    os.environ.update(_TELEMETRY_OFF)


def child_environment(settings: Settings, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Make the environment of a child process: this one, our home, telemetry off.

    ``PYTHONSAFEPATH`` keeps a `flows/` or `components/` folder in the directory that the
    user works in from standing in for ours.
    """
    paths = [str(CLONE), *filter(None, [os.environ.get("PYTHONPATH", "")])]
    return {
        **os.environ,
        **_TELEMETRY_OFF,
        "DRIFTWHEEL_HOME": str(settings.home),
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        **(extra or {}),
    }


def _find_home(environ: Mapping[str, str]) -> Path:
    if environ.get("DRIFTWHEEL_HOME"):
        return Path(environ["DRIFTWHEEL_HOME"])
    here = Path.cwd()
    return next((p for p in (here, *here.parents) if (p / CONFIG_NAME).is_file()), CLONE)


def _known_fields() -> list[str]:
    return [field.name for field in fields(Settings) if field.name not in {"home", *_TABLES}]


def _read_file(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise SettingsError(f"{file} is not readable as TOML: {problem}") from problem
    urls = given.get(URLS, {})
    if not isinstance(urls, dict) or not all(isinstance(url, str) for url in urls.values()):
        raise SettingsError(f'{file}: [urls] must hold lines such as SHOP_DB = "postgresql://…"')
    _require_alerts(given.get(ALERTS, {}), file)
    for key, value in given.items():
        if key in {URLS, ALERTS}:
            continue
        if key not in _known_fields():
            from components.pipelines import nearest

            hint = (
                nearest(key, [*_known_fields(), *_TABLES])
                or f" (known: {', '.join(_known_fields())})"
            )
            raise SettingsError(f"{file}: unknown field {key!r}{hint}")
        if not isinstance(value, str):
            raise SettingsError(f"{file}: field {key!r} must be text. Got {value!r}")
    return given


def _require_alerts(given: object, file: Path) -> None:
    """See that the table of alerts holds a list of addresses; none of them is shown."""
    told = given.get(URLS, []) if isinstance(given, dict) and set(given) <= {URLS} else None
    if not isinstance(told, list) or not all(isinstance(url, str) for url in told):
        raise SettingsError(
            f'{file}: [alerts] must hold one line such as urls = ["${{SLACK_URL}}"], a list of '
            "addresses as Apprise takes them"
        )


def _read_environment(environ: Mapping[str, str]) -> dict[str, str]:
    named = {name: f"DRIFTWHEEL_{name.upper()}" for name in _known_fields()}
    return {name: environ[key] for name, key in named.items() if environ.get(key)}


def _fill(field: str, value: str, environ: Mapping[str, str]) -> str:
    missing = [name for name in _SECRET.findall(value) if name not in environ]
    if missing:
        raise SettingsError(
            f"field {field!r} names ${{{missing[0]}}}, which is not set in the environment; "
            f"export {missing[0]}=… and try again"
        )
    return _SECRET.sub(lambda found: environ[found[1]], value)


def hide_password(url: str) -> str:
    """Show a URL to people without the password in it."""
    return re.sub(r"(://[^:/@]*):[^/]*@", r"\1:…@", url)


def without_login(url: str) -> str:
    """Give a URL to follow, without user and password: whoever follows it logs in."""
    return re.sub(r"://[^/]*@", "://", url, count=1)
