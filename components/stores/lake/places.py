"""Where a Delta table lies, and which of its files hold its rows."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from components.errors import SettingsError

# Measured with deltalake 1.6.6 and DuckDB 2.0: brackets, bars, carets and backslashes make
# the writer panic, a percent sign or hash is decoded twice, '*' and '?' are globs to the reader.
_UNUSABLE = frozenset("[]{}|^\\%#*?")
_FILE_SCHEME = "file"


def root_of(uri: str) -> str:
    """Settle where a lake lies: an absolute folder, or the URI of an object store.

    Raises
    ------
    SettingsError
        If the folder's path holds a character that the table format cannot take.

    """
    parts = urlsplit(uri)
    if parts.scheme and parts.scheme != _FILE_SCHEME and "://" in uri:
        return uri.rstrip("/")
    plain = unquote(parts.path) if parts.scheme == _FILE_SCHEME else uri
    folder = str(Path(plain).expanduser().resolve())
    found = sorted(_UNUSABLE & set(folder))
    if found:
        raise SettingsError(
            f"a lake cannot lie in {folder}: Delta tables do not take {' '.join(found)} in a "
            "path; move the home, or set 'lake' in driftwheel.toml to another folder"
        )
    return folder


def is_remote(root: str) -> bool:
    """Say whether a lake lies in an object store rather than in a folder."""
    return "://" in root


def local_files(file_uris: list[str]) -> list[str]:
    """Turn the table's file URIs (percent-encoded, even for a folder) into plain paths.

    >>> local_files(["/tmp/a%20b/part-0.parquet"])
    ['/tmp/a b/part-0.parquet']
    """
    return [unquote(uri.removeprefix("file://")) for uri in file_uris]
