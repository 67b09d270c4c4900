"""Addresses of databases: named in pipeline files, kept without a password in driftwheel.toml."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from components.errors import InvalidInputError, SettingsError

if TYPE_CHECKING:
    from flows.settings import Settings

_NAMED = re.compile(r"^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$")
_DATABASES = ("postgresql", "postgres", "sqlite")
_SECRETS = frozenset({"password", "sslpassword"})
_ADDRESS = re.compile(
    r"^[\w+]+://(?:[^:/@?#\s]*(?::[^:/@?#\s]*)?@)?[^@/?#\s]*(?:/[^@?#\s]*)?(?:\?[^@#\s]*)?$"
)
_TABLE_NAME = re.compile(r"^[^@/:?#]+$")
_TABLE = re.compile(r"^\s*\[\s*urls\s*\]\s*(#.*)?$")
_ANY_TABLE = re.compile(r"^\s*\[")


@dataclass(frozen=True, slots=True)
class Address:
    """An address that a pipeline file will name.

    Attributes
    ----------
    name : str
        What stands in ``${…}``.
    url : str
        The whole address; never shown, never written.
    open : str
        The address without its password.
    given : bool
        Whether it came as ``${NAME}``: then nothing is written about it.

    """

    name: str
    url: str
    open: str
    given: bool = False

    @property
    def secret(self) -> bool:
        """Whether it holds a password."""
        return self.url != self.open

    @property
    def placed(self) -> str:
        """What the pipeline file says."""
        return f"${{{self.name}}}"

    def __repr__(self) -> str:
        return f"Address({self.name}, {self.open})"


def is_address(text: str) -> bool:
    """Say whether a text is an address, or names one."""
    return "://" in text or _NAMED.match(text) is not None


def read_address(text: str, name: str, settings: "Settings", option: str) -> Address:
    """Understand an address as given on the command line.

    Parameters
    ----------
    text : str
        ``postgresql://…``, ``sqlite:///FILE``, or ``${NAME}`` of one that is known here.
    name : str
        What to call it in the pipeline file.
    option : str
        The option it was given to, for messages.

    Raises
    ------
    InvalidInputError
        If it is no address of a database that can be read, or ``${NAME}`` is unknown.

    """
    named = _NAMED.match(text)
    if named:
        url = settings.place(named[1])
        if not url:
            raise InvalidInputError(
                f"{option} names ${{{named[1]}}}, which is neither set in the environment nor "
                f"under [urls] in {settings.home / 'driftwheel.toml'}; export {named[1]}=… and "
                "try again"
            )
        return Address(named[1], url, url, given=True)
    scheme = text.partition("://")[0].partition("+")[0].lower()
    if scheme not in _DATABASES:
        places = "" if option == "--sink" else "a file, a folder, "
        other = (
            "have a script of yours read the table `predictions` in the lake (Delta) instead"
            if option == "--sink"
            else "for any other system, export the rows to Parquet, or yield them from a function "
            "of yours in HOME/code, given as module:function"
        )
        raise InvalidInputError(
            f"{option} must be {places}postgresql://… or sqlite:///FILE. Got an address that "
            f"starts with {scheme[:20]}://; {other}"
        )
    if scheme == "sqlite":
        return _sqlite(text, name, option)
    if not _is_well_formed(text):
        # The address itself is not repeated: it may hold a password.
        raise InvalidInputError(
            f"{option} must be postgresql://USER:PASSWORD@HOST:PORT/DATABASE, and in user and "
            "password @ is written %40, : %3A, / %2F, ? %3F, # %23 and a blank %20. Got something "
            "else"
        )
    return Address(name, text, _without_password(text))


def _sqlite(text: str, name: str, option: str) -> Address:
    """Make the path absolute: the pipeline runs from other folders than this one."""
    path, _, query = text.partition("://")[2].removeprefix("/").partition("?")
    file = Path(path).expanduser().resolve()
    if not path or file.is_dir():
        raise InvalidInputError(f"{option}: sqlite:///FILE must name a file. Got {text!r}")
    # A sink that is absent is made with its first predictions; a folder for it is not.
    if option == "--sink" and not file.parent.is_dir():
        raise InvalidInputError(
            f"{option}: the folder {file.parent} does not exist; make it, and the file is made "
            "with the first predictions"
        )
    if option != "--sink" and not file.is_file():
        raise InvalidInputError(f"{option}: {file} does not exist; sqlite:///FILE names a file")
    url = f"sqlite:///{file}{'?' if query else ''}{query}"
    return Address(name, url, url)


def _is_well_formed(text: str) -> bool:
    """Say whether it is beyond doubt where a password begins and ends."""
    try:
        urlsplit(text).port  # noqa: B018 - it is read to see whether it can be
    except ValueError:
        return False
    return _ADDRESS.match(text) is not None


def without_login(text: str) -> str:
    """Blot out what may be a password in a text that was meant to be an address.

    >>> without_login("postgresql:/me:s3cret@host/db"), without_login("data/rides.csv")
    ('…@host/db', 'data/rides.csv')
    """
    before, at, after = text.rpartition("@")
    return f"…@{after}" if at and ":" in before else text


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    user = login.partition(":")[0]
    asked = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True)]
    kept = [(key, value) for key, value in asked if key.lower() not in _SECRETS]
    if ":" not in login and kept == asked:
        return url
    query = urlencode(kept, quote_via=quote, safe="/")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{host}", query=query))


def split_table(sink: str) -> tuple[str, str]:
    """Split ``URL#TABLE``; a ``#`` in a password belongs to the address.

    >>> split_table("sqlite:///a.db#answers"), split_table("postgresql://me:p#w@host/db")
    (('sqlite:///a.db', 'answers'), ('postgresql://me:p#w@host/db', ''))
    """
    url, sign, table = sink.rpartition("#")
    return (url, table) if sign and _TABLE_NAME.match(table) else (sink, "")


def masked(address: Address) -> str:
    """Show an address with its password blotted out.

    >>> masked(Address("X", "postgresql://me:s3cret@host/db", "postgresql://me@host/db"))
    'postgresql://me:…@host/db'
    """
    if not address.secret:
        return address.open
    parts = urlsplit(address.url)
    login, at, host = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    asked = parse_qsl(parts.query, keep_blank_values=True)
    shown = "&".join(f"{k}={'…' if k.lower() in _SECRETS else v}" for k, v in asked)
    netloc = f"{user}{colon}{'…' if colon else ''}{at}{host}"
    return urlunsplit(parts._replace(netloc=netloc, query=shown))


def with_urls(file: Path, urls: Mapping[str, str], *, force: bool) -> str:
    """Give the text of driftwheel.toml with these lines under ``[urls]``; the rest stays as it is.

    Parameters
    ----------
    file : Path
        The file; it need not exist.
    urls : mapping of str
        Addresses without passwords.
    force : bool
        Replace a line that says otherwise.

    Raises
    ------
    SettingsError
        If a name stands there with another address, and `force` is not given.

    """
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    standing = _standing(text, file)
    new = {name: url for name, url in urls.items() if standing.get(name) != url}
    for name in new:
        if name not in standing:
            continue
        if not force:
            raise SettingsError(
                f"{file} already says {name} = {_hidden(standing[name])!r} under [urls], another "
                f"address; give it as '${{{name}}}', take that line out, or say --force"
            )
        text = _without_line(text, name)
    made = _added(text, new)
    said = tomllib.loads(made).get("urls", {})
    if {**standing, **new} != said:
        raise SettingsError(
            f"{file}: the addresses {', '.join(new)} cannot be added under [urls]; add them by hand"
        )
    return made


def _hidden(url: str) -> str:
    from flows.settings import hide_password

    return hide_password(url)


def _standing(text: str, file: Path) -> dict[str, str]:
    try:
        return dict(tomllib.loads(text).get("urls", {}))
    except (tomllib.TOMLDecodeError, TypeError, ValueError) as problem:
        raise SettingsError(f"{file} is not readable as TOML: {problem}") from problem


def _without_line(text: str, name: str) -> str:
    line = re.compile(rf"""^\s*["']?{re.escape(name)}["']?\s*=""")
    return "".join(one for one in text.splitlines(keepends=True) if not line.match(one))


def _added(text: str, new: Mapping[str, str]) -> str:
    if not new:
        return text
    lines = [f"{name} = {json.dumps(url)}" for name, url in new.items()]
    standing = text.splitlines()
    place = next((at for at, line in enumerate(standing) if _TABLE.match(line)), None)
    if place is None:
        before = [*standing, ""] if standing else []
        return "\n".join([*before, "[urls]", *lines, ""])
    end = next(
        (at for at in range(place + 1, len(standing)) if _ANY_TABLE.match(standing[at])),
        len(standing),
    )
    while not standing[end - 1].strip():
        end -= 1
    return "\n".join([*standing[:end], *lines, *standing[end:], ""])
