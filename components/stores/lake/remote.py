"""Read the Parquet files of a table in an S3-compatible object store."""

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow.fs import S3FileSystem

from components.errors import StoreError

# The names under which the table library takes its options, with those of pyarrow.
_NAMES = {
    "aws_access_key_id": "access_key",
    "aws_secret_access_key": "secret_key",
    "aws_session_token": "session_token",
    "aws_region": "region",
    "aws_endpoint_url": "endpoint_override",
}


def open_files(file_uris: list[str], options: Mapping[str, str], schema: pa.Schema) -> ds.Dataset:
    """Open files for scanning; columns that a file lacks are read as null.

    Parameters
    ----------
    file_uris : list of str
        ``s3://bucket/key``, percent-encoded.
    options : mapping
        Storage options as the table library names them; the environment fills the rest.
    schema : Schema
        The table's columns.

    Raises
    ------
    StoreError
        If the files lie in another kind of store.

    """
    return ds.dataset(
        _keys(file_uris), schema=schema, format="parquet", filesystem=connect(options)
    )


def present(file_uris: list[str], options: Mapping[str, str]) -> list[str]:
    """Keep of some files those that are still there."""
    infos = connect(options).get_file_info(_keys(file_uris))
    return [uri for uri, info in zip(file_uris, infos, strict=True) if info.is_file]


def _keys(file_uris: list[str]) -> list[str]:
    parts = [urlsplit(uri) for uri in file_uris]
    if {part.scheme for part in parts} - {"s3", "s3a"}:
        raise StoreError(
            f"{file_uris[0]} lies in a kind of store that cannot be read here; "
            "keep the lake in a folder or at s3://"
        )
    return [unquote(part.netloc + part.path) for part in parts]


def connect(options: Mapping[str, str]) -> S3FileSystem:
    """Open the object store that the storage options name."""
    lowered = {key.lower(): value for key, value in options.items()}
    given = {ours: lowered[name] for name, ours in _NAMES.items() if name in lowered}
    scheme = "http" if given.get("endpoint_override", "").startswith("http:") else "https"
    return S3FileSystem(scheme=scheme, **given)
