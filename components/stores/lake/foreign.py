"""The data files of a Delta table that somebody else writes."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from components.errors import StoreError

# Features that leave every row of every file as it stands. Deletion vectors and column
# mapping do not: read without them, deleted rows would come back, or under other names.
_HARMLESS = frozenset({"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"})
_PARTITION = "partition."


@dataclass(frozen=True, slots=True)
class DataFile:
    """One Parquet file of a table.

    Attributes
    ----------
    path : Path
    name : str
        Relative to the table.
    digest : str
        Of name and size; a data file is never written again.
    partition : dict
        Values of the columns that stand in the path rather than in the file.

    """

    path: Path
    name: str
    digest: str
    partition: dict[str, Any]


def list_files(folder: Path) -> tuple[pa.Schema, list[DataFile]]:
    """List the columns and the data files of a table's newest version, oldest file first.

    Raises
    ------
    StoreError
        If the table cannot be opened, or uses features that its files alone do not show.

    """
    try:
        handle = DeltaTable(str(folder))
        _require_plain(handle, folder)
        schema = pa.schema(handle.schema().to_arrow())
        actions = pa.table(handle.get_add_actions(flatten=True)).to_pylist()
    except (DeltaError, OSError, ValueError) as problem:
        raise StoreError(
            f"the Delta table {folder} cannot be opened: {problem}; see whether it was copied whole"
        ) from problem
    actions.sort(key=lambda action: (action["modification_time"], action["path"]))
    return schema, [_file(folder, action) for action in actions]


def _file(folder: Path, action: dict[str, Any]) -> DataFile:
    name = unquote(action["path"])
    place = len(_PARTITION)
    return DataFile(
        path=folder / name,
        name=name,
        digest=hashlib.sha256(f"{name}\0{action['size_bytes']}".encode()).hexdigest(),
        partition={k[place:]: v for k, v in action.items() if k.startswith(_PARTITION)},
    )


def _require_plain(handle: DeltaTable, folder: Path) -> None:
    protocol = handle.protocol()
    mapped = handle.metadata().configuration.get("delta.columnMapping.mode") or "none"
    features = set(protocol.reader_features or ()) - _HARMLESS - {"columnMapping"}
    if mapped != "none":
        features.add("columnMapping")
    if features:
        raise StoreError(
            f"the Delta table {folder} uses {', '.join(sorted(features))}, which cannot be read "
            "here; rewrite it without (for deletion vectors: REORG TABLE … APPLY (PURGE)), or "
            "give its rows as Parquet"
        )
