"""Who was erased, as hashes: enough to know a person again, and keep them out.

One file for each erasure, ``lake/NAME/_erased/er-….json``: when, who, why, how many rows, which
snapshots held them, and the salted hashes of ids and entities. Whoever writes rows asks it.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from components.errors import StoreError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from components.stores.lake import Lake

FOLDER = "_erased"


@dataclass(frozen=True, slots=True)
class Held:
    """What an erasure did to the rows that one model version had learnt from.

    Attributes
    ----------
    erased : int
        Rows that it had learnt from and that went.
    positions : tuple of (int, int)
        Where rows went in its snapshot (half-open ranges), as it was before this erasure.
    order : int
        Counts all that was ever noted, so that positions are left out one erasure after another.
    remaining : str
        Digest of the rows that are left; empty until the erasure is complete.

    """

    erased: int
    positions: tuple[tuple[int, int], ...]
    order: int
    remaining: str = ""


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure, as it is remembered.

    Attributes
    ----------
    id : str
        ``er-`` and twelve hexadecimal digits, made from what was erased.
    at : str
        The wall clock of whoever asked for it, ISO.
    salt : str
        Goes before what is hashed; the id of the home's ledger.
    ids, entities : tuple of str
        SHA-256 of the salted ids and entities that were named by the person who asked.
    related : tuple of str
        The same of the record ids that belong to these entities.
    state : {"begun", "done"}
        Begun: some rows may be left, and a second run completes it.
    removed : dict
        Rows taken out of the newest version, by table.
    snapshots : dict
        By model version: what it had learnt from them.

    """

    id: str
    at: str
    who: str
    reason: str
    salt: str
    ids: tuple[str, ...]
    entities: tuple[str, ...]
    related: tuple[str, ...] = ()
    state: Literal["begun", "done"] = "begun"
    removed: dict[str, int] = field(default_factory=dict)
    snapshots: dict[str, Held] = field(default_factory=dict)

    @property
    def day(self) -> str:
        """The day on which it was asked for, for people."""
        return self.at.partition("T")[0]


class Erased:
    """Everybody who was erased from a pipeline; false when that is nobody."""

    def __init__(self, erasures: Iterable[Erasure]) -> None:
        self.erasures = tuple(erasures)

    def __bool__(self) -> bool:
        return bool(self.erasures)

    @property
    def begun(self) -> Erasure | None:
        """An erasure that was not finished; None where all are."""
        return next((one for one in self.erasures if one.state == "begun"), None)

    @property
    def next_order(self) -> int:
        """The next number to note by."""
        return 1 + max(
            (h.order for one in self.erasures for h in one.snapshots.values()), default=0
        )

    def of(self, version: str) -> list[tuple[Erasure, Held]]:
        """Give the erasures that concern a model version, in the order in which they were noted."""
        found = [(one, one.snapshots[version]) for one in self.erasures if version in one.snapshots]
        return sorted(found, key=lambda pair: pair[1].order)

    def mask(self, ids: pd.Series | None, entities: pd.Series | None = None) -> "NDArray[np.bool_]":
        """Mark the rows of erased people.

        Parameters
        ----------
        ids, entities : Series of str, shape (n_rows,)
            The record ids, and whom the records are about; None where there is no such column.

        Returns
        -------
        array of bool, shape (n_rows,)

        """
        given = ids if ids is not None else entities
        marked = np.zeros(0 if given is None else len(given), dtype=bool)
        for one in self.erasures:
            if ids is not None:
                marked |= _among(ids, {*one.ids, *one.related}, one.salt)
            if entities is not None:
                marked |= _among(entities, set(one.entities), one.salt)
        return marked


def erased(lake: "Lake", pipeline: str) -> Erased:
    """Read who was erased from a pipeline; one listing where that is nobody."""
    folder = lake.folder(pipeline)
    read = (folder.read(name) for name in folder.names(FOLDER) if name.endswith(".json"))
    found = [_from_json(content) for content in read if content is not None]
    return Erased(sorted(found, key=lambda one: (one.at, one.id)))


def remember(lake: "Lake", pipeline: str, erasure: Erasure) -> Erasure:
    """Write an erasure down, over what was said of it before."""
    content = json.dumps(asdict(erasure), indent=1).encode()
    lake.folder(pipeline).write(f"{FOLDER}/{erasure.id}.json", content)
    return erasure


def recall(lake: "Lake", pipeline: str, erasure_id: str) -> Erasure | None:
    """Read one erasure; None when there is none of that id."""
    content = lake.folder(pipeline).read(f"{FOLDER}/{erasure_id}.json")
    return None if content is None else _from_json(content)


def hide(value: str, salt: str) -> str:
    """Hash a value so that it can be known again but not read.

    >>> hide("ada", "salt")[:8]
    '9acd843d'
    """
    return hashlib.sha256(f"{salt}{value}".encode()).hexdigest()


def with_related(erasure: Erasure, ids: Iterable[str]) -> Erasure:
    """Add record ids that belong to the erased entities."""
    hidden = {hide(value, erasure.salt) for value in ids} - set(erasure.ids)
    return replace(erasure, related=tuple(sorted({*erasure.related, *hidden})))


def _among(values: pd.Series, hidden: set[str], salt: str) -> "NDArray[np.bool_]":
    if not hidden:
        return np.zeros(len(values), dtype=bool)
    known = [one for one in values.dropna().unique() if hide(str(one), salt) in hidden]
    return values.isin(known).to_numpy(dtype=bool)


def _held(said: dict[str, Any]) -> Held:
    positions = tuple((int(first), int(end)) for first, end in said.pop("positions"))
    return Held(**said, positions=positions)


def _from_json(content: bytes) -> Erasure:
    try:
        said: dict[str, Any] = json.loads(content)
        held = {version: _held(one) for version, one in said.pop("snapshots").items()}
        lists = {name: tuple(said[name]) for name in ("ids", "entities", "related")}
        return Erasure(**{**said, **lists, "snapshots": held})
    except (ValueError, KeyError, TypeError) as problem:
        raise StoreError(
            f"an erasure in the lake cannot be read ({problem}); restore the file under "
            f"{FOLDER}/ from a backup: without it, erased people would be let in again"
        ) from problem
