"""Take rows out of a table and out of every file of it that is left, old versions included.

A Delta table never forgets by itself: a row that was deleted stays in the files of the older
versions, and its smallest and largest values in the log. Here, in this order,

1. the newest version is given a commit without the rows, so that other tools see it too;
2. every file on disk that holds one of them is replaced, under its own name, by one without;
3. the log and its checkpoints lose the statistics of those files.

A file under its own name keeps every version readable that names it, from the log or from a
note, without these rows. It keeps its length too: readers go by the length that the log
states, so the space that the rows leave is filled between the data and the footer.

Each step replaces one file whole. Whoever is killed in between has lost nothing that should
stay, and a second run completes it.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

from components.errors import CommitConflictError, StoreError
from components.failpoints import failpoint
from components.stores.lake.folders import Folder

Matching: TypeAlias = Callable[[pa.Table], pa.ChunkedArray]
"""Marks the rows of a table that are to go; it is given the columns that it asks for."""

ATTEMPTS = 64
_LOG = "_delta_log/"
_TAIL = 8  # length of the footer in 4 bytes, then the magic word


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are to go.

    Attributes
    ----------
    columns : tuple of str
        The columns that `marks` looks at, where a file has them.
    marks : callable
        Given a table of these columns, says of each row whether it goes.
    conditions : callable
        Gives the same in SQL, for the commit; none of them says a value in plain text,
        because the log keeps the condition of a deletion for ever.
    plain : tuple of str
        Texts that must not be left in the log.

    """

    columns: tuple[str, ...]
    marks: Matching
    conditions: Callable[[], Sequence[str]]
    plain: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Removed:
    """What was done to a table: rows of its newest version, and files replaced."""

    rows: int
    files: int


def erase_rows(open_newest: Callable[[], DeltaTable], folder: Folder, wanted: Wanted) -> Removed:
    """Remove rows from the newest version and from all files of a table.

    Parameters
    ----------
    open_newest : callable
        Opens the table at its newest version.
    folder : Folder
        Where the table lies.

    Raises
    ------
    CommitConflictError
        If other writers won every attempt; run it again.
    StoreError
        If the storage fails; what was removed is removed, run it again.

    """
    rows = files = 0
    for _ in range(ATTEMPTS):
        held = _holding(folder, wanted)
        if not held:
            scrub_log(folder, wanted.plain)
            return Removed(rows, files)
        rows += _delete_from_newest(open_newest, held, wanted)
        failpoint("erased-from-newest")
        for name in held:
            files += _replace(folder, name, wanted)
            failpoint("erased-from-file")
    raise CommitConflictError(
        "rows to be erased came back as often as they were removed: another process writes "
        "them; stop it and run erase again"
    )


def values_held(folder: Folder, column: str, chosen: Callable[[pa.Table], Any]) -> set[str]:
    """Collect the values of a text column of chosen rows, over all files of a table."""
    found: set[str] = set()
    for name in _data_files(folder):
        with pq.ParquetFile(folder.opened(name)) as file:
            for group in range(file.num_row_groups):
                rows = _plain(file.read_row_group(group))
                picked = rows.filter(chosen(rows))[column].drop_null()
                found.update(picked.to_pylist())
    return found


def _data_files(folder: Folder) -> list[str]:
    names = folder.names(deep=True)
    return [n for n in names if n.endswith(".parquet") and not n.startswith("_")]


def _holding(folder: Folder, wanted: Wanted) -> dict[str, int]:
    """Name the files that hold rows to be erased, with how many."""
    found: dict[str, int] = {}
    for name in _data_files(folder):
        try:
            with pq.ParquetFile(folder.opened(name)) as file:
                number = _count(file, wanted)
        except FileNotFoundError:  # vacuumed while we looked
            continue
        except (pa.ArrowInvalid, OSError) as problem:
            raise StoreError(
                f"{name} cannot be read ({problem}), so it cannot be said whether it holds rows "
                "to be erased; delete the file if no version uses it, and run erase again"
            ) from problem
        if number:
            found[name] = number
    return found


def _count(file: pq.ParquetFile, wanted: Wanted) -> int:
    columns = [name for name in wanted.columns if name in file.schema_arrow.names]
    number = 0
    for group in range(file.num_row_groups):
        rows = _plain(file.read_row_group(group, columns=columns))
        number += pc.sum(wanted.marks(rows)).as_py() or 0
    return number


def _delete_from_newest(
    open_newest: Callable[[], DeltaTable], held: Mapping[str, int], wanted: Wanted
) -> int:
    """Commit a version without the rows, where the newest one holds any."""
    live = {unquote(uri).rpartition("/")[2] for uri in open_newest().file_uris()}
    if not live & {name.rpartition("/")[2] for name in held}:
        return 0
    return delete_rows(open_newest, wanted.conditions())


def delete_rows(open_newest: Callable[[], DeltaTable], conditions: Sequence[str]) -> int:
    """Delete rows from the newest version, whoever else writes; returns how many.

    Raises
    ------
    CommitConflictError
        If other writers won every attempt.
    StoreError
        If the storage fails.

    """
    return sum(_delete(open_newest, condition) for condition in conditions)


def _delete(open_newest: Callable[[], DeltaTable], condition: str) -> int:
    for attempt in range(ATTEMPTS):
        try:
            return int(open_newest().delete(condition)["num_deleted_rows"] or 0)
        except CommitFailedError:
            pause(attempt)
        except (DeltaError, OSError) as problem:
            raise StoreError(f"rows could not be deleted: {problem}") from problem
    raise CommitConflictError(
        f"other writers won all {ATTEMPTS} attempts to delete rows; run it again"
    )


def _replace(folder: Folder, name: str, wanted: Wanted) -> int:
    """Put a file without the rows in the place of one that holds them."""
    with folder.beside(name) as made:
        try:
            with pq.ParquetFile(folder.opened(name)) as file:
                _write_without(file, made, wanted)
        except FileNotFoundError:
            return 0
        _stretch(made, folder.names(name.rpartition("/")[0])[name])
        folder.put(name, made)
    return 1


def _write_without(file: pq.ParquetFile, made: Path, wanted: Wanted) -> None:
    # No statistics, no copy of the schema, and no dictionary where there was none: the file must
    # not become longer than it was.
    with pq.ParquetWriter(
        made,
        _plain(file.schema_arrow.empty_table()).schema,
        compression="zstd",
        write_statistics=False,
        store_schema=False,
        use_dictionary=_with_dictionary(file),
    ) as writer:
        for group in range(file.num_row_groups):
            rows = _plain(file.read_row_group(group))
            asked = rows.select([name for name in wanted.columns if name in rows.column_names])
            writer.write_table(rows.filter(pc.invert(wanted.marks(asked))))


def _with_dictionary(file: pq.ParquetFile) -> list[str]:
    """Name the columns that a file holds by dictionary."""
    if not file.num_row_groups:
        return []
    group = file.metadata.row_group(0)
    columns = (group.column(number) for number in range(group.num_columns))
    return [column.path_in_schema for column in columns if column.has_dictionary_page]


def _plain(rows: pa.Table) -> pa.Table:
    """Give text as plain strings: compaction writes views, which hardly anything can compute on."""
    fields = [
        field.with_type(pa.string()) if pa.types.is_string_view(field.type) else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(fields))


def _stretch(made: Path, length: int) -> None:
    """Fill a Parquet file up to a length, between its data and its footer."""
    missing = length - made.stat().st_size
    if missing <= 0:
        return
    with made.open("r+b") as file:
        file.seek(-_TAIL, 2)
        footer = int.from_bytes(file.read(4), "little") + _TAIL
        file.seek(-footer, 2)
        start = file.tell()
        tail = file.read()
        file.seek(start)
        file.write(bytes(missing))
        file.write(tail)


# --- the log ------------------------------------------------------------------------------------


def scrub_log(folder: Folder, plain: Sequence[str] = ()) -> int:
    """Take out of the log what it says of files that were replaced, or are gone.

    Statistics hold the smallest and largest value of every column. Of a file that is as it
    was they say nothing of an erased row; of the others only number of rows and length stay.

    Returns
    -------
    int
        How many files of the log were rewritten.

    """
    changed = 0
    lengths = folder.names(deep=True)
    counted: dict[str, int] = {}

    def mend(action: dict[str, Any]) -> None:
        _mend(action, folder, lengths, counted, plain)

    for name in [name for name in lengths if name.startswith(_LOG)]:
        if name.endswith(".json"):
            changed += _scrub_commit(folder, name, mend)
        elif name.endswith(".parquet"):
            changed += _scrub_checkpoint(folder, name, mend)
    return changed


def _scrub_commit(folder: Folder, name: str, mend: Callable[[dict[str, Any]], None]) -> int:
    before = folder.read(name) or b""
    lines = []
    for line in before.splitlines():
        action = json.loads(line)
        kept = json.dumps(action)
        mend(action)
        now = json.dumps(action, separators=(",", ":"), ensure_ascii=False)
        lines.append(line if json.dumps(action) == kept else now.encode())
    after = b"\n".join(lines) + (b"\n" if before.endswith(b"\n") else b"")
    if after == before:
        return 0
    folder.write(name, after)
    return 1


def _scrub_checkpoint(folder: Folder, name: str, mend: Callable[[dict[str, Any]], None]) -> int:
    with pq.ParquetFile(folder.opened(name)) as file:
        table = file.read()
    actions = table.to_pylist()
    before = json.dumps(actions, default=str)
    for action in actions:
        mend(action)
    if json.dumps(actions, default=str) == before:
        return 0
    folder.delete(f"{_LOG}_last_checkpoint")  # a hint; it states the checkpoint's length
    with folder.beside(name) as made:
        pq.write_table(
            pa.Table.from_pylist(actions, schema=table.schema), made, write_statistics=False
        )
        folder.put(name, made)
    return 1


def _mend(
    action: dict[str, Any],
    folder: Folder,
    lengths: Mapping[str, int],
    counted: dict[str, int],
    plain: Sequence[str],
) -> None:
    """Let one action of the log say only what is still true, and nobody's values."""
    asked = (action.get("commitInfo") or {}).get("operationParameters") or {}
    for name in [name for name in asked if "predicate" in name.lower()]:
        if any(text in str(asked[name]) for text in plain):
            asked[name] = "erased"
    for kind in ("add", "remove"):
        entry = action.get(kind)
        if not entry or entry.get("deletionVector"):
            continue
        file = unquote(entry["path"])
        if file not in lengths:
            if entry.get("stats"):
                entry["stats"] = None
            continue
        if file not in counted:
            with pq.ParquetFile(folder.opened(file)) as opened:
                counted[file] = opened.metadata.num_rows
        stated = json.loads(entry.get("stats") or "null")
        if stated is not None and stated.get("numRecords") != counted[file]:
            entry["stats"] = json.dumps({"numRecords": counted[file]})
        if entry.get("size") is not None and entry["size"] != lengths[file]:
            entry["size"] = lengths[file]


def pause(attempt: int) -> None:
    """Wait a little longer after every lost race."""
    time.sleep(min(0.002 * 2**attempt, 0.25))
