"""Take a person out of everything that a home keeps, and say what is not ours to change.

In this order, each part of it complete before the next begins, so that a second run after a
kill at any point finds all that is left:

1. the erasure is written down, as hashes: from now on nobody is let in again;
2. the record ids of the entities are found and added to it;
3. of every model version it is written down which of its rows will go;
4. predictions, labels, quarantine and, last, records lose the rows, in all their versions; a
   table to which somebody has written meanwhile is looked through again;
5. of every model version it is written down what its rows are now;
6. copies that this home has fetched of the packages of these versions are removed.

Whoever writes rows asks who was erased right before each batch. One gap is left: a batch that
was handed over before the first step, and whose commit ends after the fourth. An erasure that
is asked for again with the same ids finds those rows, and changes nothing else.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from components.errors import InvalidInputError, StoreError, StoreUnreachableError
from components.pipelines import Pipeline
from components.records import LABELS, PREDICTIONS, QUARANTINE, RECORD_ID, RECORDS
from flows.steps.erased import (
    Erased,
    Erasure,
    Held,
    erased,
    hide,
    recall,
    remember,
    with_related,
)
from flows.steps.erased_packages import SAMPLES, drop_copies, places_of
from flows.steps.rebuilding import concerned, find, read_learnt
from flows.steps.snapshots import digest_rows

if TYPE_CHECKING:
    from components.stores.lake import Wanted
    from flows.steps.home import Home

ORDER = (PREDICTIONS, LABELS, QUARANTINE, RECORDS)
"""Records go last: they say which record ids belong to an entity."""

_JSON = {QUARANTINE: "row", PREDICTIONS: "features"}
"""Columns that hold a whole row as JSON."""

_A_CONDITION = 500
"""So many hashes in one condition of a deletion."""

_SHOWN = 20
"""So many ids are written out in a statement for the user's own table."""


@dataclass(frozen=True, slots=True)
class Whom:
    """Record ids and entities that are to go, in plain text; never written anywhere."""

    ids: frozenset[str]
    entities: frozenset[str]


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What an erasure did, and what it left to people.

    Attributes
    ----------
    removed : dict
        Rows taken out of the newest version, by table.
    rewritten : dict
        Files replaced, old versions included, by table; of this run.
    snapshots : dict
        By model version, how many of the rows that it had learnt from went.
    packages : dict
        Model versions whose registered package holds a sample of the rows that it learnt from,
        without ids, from when the person was in; and where each lies.
    copies : int
        Copies of such packages that this home had fetched, and has removed by this run.
    unknown : tuple of str
        Model versions that do not say which rows they learnt from.
    theirs : tuple of str
        What the user has to do in places that are theirs.
    missing : tuple of str
        The ids and entities, as they were given, of which no table held a row in any version;
        empty where this very erasure was carried out before.

    """

    id: str
    pipeline: str
    at: str
    who: str
    reason: str
    removed: dict[str, int]
    rewritten: dict[str, int]
    snapshots: dict[str, int]
    packages: dict[str, str]
    copies: int
    unknown: tuple[str, ...]
    theirs: tuple[str, ...]
    missing: tuple[str, ...] = ()


def erase(
    home: "Home",
    pipeline: Pipeline,
    *,
    ids: Sequence[str] = (),
    entities: Sequence[str] = (),
    reason: str,
    who: str,
    now: datetime,
    told: Callable[[str], None] = lambda _: None,
) -> ErasureReport:
    """Remove the rows of people from every table and every version; again changes nothing.

    Parameters
    ----------
    ids : sequence of str
        Record ids.
    entities : sequence of str
        Values of the pipeline's `entity` column.
    now : datetime
        The writer's clock; of a second run the first one's stays.

    Raises
    ------
    InvalidInputError
        If nobody is named, no reason given, or the pipeline has no entity.
    StoreError
        If a store fails; run it again with the same ids, and it completes.

    """
    _check(pipeline, ids, entities, reason)
    began = {one.id for one in erased(home.lake, pipeline.name).erasures}
    erasure = _begun(home, pipeline, ids, entities, reason=reason, who=who, now=now)
    whom = Whom(frozenset(ids), frozenset(entities))
    told("looking for rows")
    if entities:
        related = frozenset(_ids_of(home, pipeline, whom))
        whom = replace(whom, ids=whom.ids | related)
        erasure = remember(home.lake, pipeline.name, with_related(erasure, related))
    missing = () if erasure.id in began else _missing(home, pipeline, ids, entities)
    told("looking which models learnt from them")
    erasure, unknown = _note_snapshots(home, pipeline, erasure)
    rewritten: dict[str, int] = {}
    seen: dict[str, int] = {}
    for table in (*ORDER, *ORDER):  # twice: somebody may have written while we looked elsewhere
        if not home.lake.exists(pipeline.name, table):
            continue
        if home.lake.version(pipeline.name, table) == seen.get(table):
            continue
        told(f"removing them from {table}")
        done = home.lake.erase(
            pipeline.name, table, wanted_in(home, table, pipeline, whom, erasure.salt)
        )
        seen[table] = home.lake.version(pipeline.name, table)
        rewritten[table] = rewritten.get(table, 0) + done.files
        before = erasure.removed.get(table, 0)
        removed = {**erasure.removed, table: before + done.rows}
        erasure = remember(home.lake, pipeline.name, replace(erasure, removed=removed))
    home.ledger.forget_records(pipeline.name, whom.ids)
    told("writing down what is left")
    erasure = _note_remaining(home, pipeline, erasure)
    held = {version: one.erased for version, one in erasure.snapshots.items() if one.erased}
    told("removing copies of model packages")
    copies = drop_copies(home, pipeline.name, {*held, *unknown})
    packages = places_of(home, pipeline.name, held)
    report = ErasureReport(
        id=erasure.id,
        pipeline=pipeline.name,
        at=erasure.at,
        who=erasure.who,
        reason=erasure.reason,
        removed=erasure.removed,
        rewritten=rewritten,
        snapshots=held,
        packages=packages,
        copies=copies,
        unknown=unknown,
        theirs=tuple(_theirs(home, pipeline, whom, packages)),
    )
    # Rows kept as text that name somebody need not bear the id.
    by_row = len(missing) == len({*ids}) + len({*entities}) and any(rewritten.values())
    return replace(report, missing=() if by_row else missing)


def _check(pipeline: Pipeline, ids: Sequence[str], entities: Sequence[str], reason: str) -> None:
    if not (ids or entities) or not all([*ids, *entities]):
        raise InvalidInputError("name whom to erase: --id ID or --entity VALUE, as often as needed")
    if not reason.strip():
        raise InvalidInputError("an erasure needs a reason: --reason 'asked for it on 3 May'")
    if entities and pipeline.entity is None:
        raise InvalidInputError(
            f"{pipeline.name} names no entity, so --entity cannot find anybody; erase by --id, or "
            "say under entity: which column names whom a record is about"
        )


def _begun(
    home: "Home",
    pipeline: Pipeline,
    ids: Sequence[str],
    entities: Sequence[str],
    *,
    reason: str,
    who: str,
    now: datetime,
) -> Erasure:
    """Write down that the erasure has begun; one of the same people is taken up again."""
    salt = home.ledger.ledger_id
    hidden = tuple(sorted(hide(one, salt) for one in set(ids)))
    whose = tuple(sorted(hide(one, salt) for one in set(entities)))
    named = hashlib.sha256(json.dumps([pipeline.name, hidden, whose]).encode()).hexdigest()
    erasure_id = f"er-{named[:12]}"
    there = recall(home.lake, pipeline.name, erasure_id)
    other = erased(home.lake, pipeline.name).begun
    if other is not None and other.id != erasure_id:
        raise StoreError(
            f"the erasure {other.id} that {other.who} asked for on {other.day} ({other.reason}) "
            f"was not finished, or is under way; run `driftwheel erase {pipeline.name}` with its "
            "ids first: one after another, so that it stays known which rows of which model went"
        )
    begun = there or Erasure(
        id=erasure_id,
        at=now.isoformat(timespec="seconds"),
        who=who,
        reason=reason,
        salt=salt,
        ids=hidden,
        entities=whose,
    )
    return remember(home.lake, pipeline.name, replace(begun, state="begun"))


# --- which rows ---------------------------------------------------------------------------------


def wanted_in(home: "Home", table: str, pipeline: Pipeline, whom: Whom, salt: str) -> "Wanted":
    """Say which rows of a table are to go."""
    from components.stores.lake import Wanted

    entity = pipeline.entity if table == RECORDS else None
    text = _JSON.get(table)
    columns = tuple(name for name in (RECORD_ID, entity, text) if name is not None)
    lists: list[tuple[str, Iterable[str]]] = [(RECORD_ID, whom.ids)]
    lists += [(entity, whom.entities)] if entity is not None else []

    def conditions() -> list[str]:
        known = [*lists, (text, _texts(home, table, text, pipeline, whom))] if text else lists
        return [_condition(name, part, salt) for name, values in known for part in _parts(values)]

    return Wanted(
        columns=columns,
        marks=lambda rows: _marked(rows, entity, text, pipeline, whom),
        conditions=conditions,
        plain=tuple(sorted({salt, *whom.ids, *whom.entities})),
    )


def _texts(home: "Home", table: str, text: str, pipeline: Pipeline, whom: Whom) -> set[str]:
    """Collect the rows kept as JSON, in the newest version, that name one of them."""
    found = home.lake.read(pipeline.name, table, columns=[text])[text].drop_null()
    return {one for one in found.to_pylist() if _in_json(one, pipeline, whom)}


def _marked(
    rows: pa.Table, entity: str | None, text: str | None, pipeline: Pipeline, whom: Whom
) -> pa.ChunkedArray:
    marked = pa.chunked_array([pa.repeat(pa.scalar(value=False), rows.num_rows)])
    for column, values in ((RECORD_ID, whom.ids), (entity, whom.entities)):
        if column in rows.column_names and values:
            among = pc.is_in(rows[column], value_set=pa.array(sorted(values), pa.string()))
            marked = pc.or_(marked, among)
    if text is not None and text in rows.column_names:
        inside = [_in_json(one, pipeline, whom) for one in rows[text].to_pylist()]
        marked = pc.or_(marked, pa.chunked_array([pa.array(inside, pa.bool_())]))
    return marked


def _in_json(text: str | None, pipeline: Pipeline, whom: Whom) -> bool:
    """Say whether a row that is kept as JSON names one of them."""
    if not text:
        return False
    try:
        row: Any = json.loads(text)
    except ValueError:
        return any(one in text for one in (*whom.ids, *whom.entities))
    if not isinstance(row, dict):
        return False
    theirs = pipeline.labels.id if pipeline.labels is not None else None
    by = ((pipeline.id, whom.ids), (theirs, whom.ids), (pipeline.entity, whom.entities))
    return any(
        name is not None and row.get(name) is not None and str(row[name]) in values
        for name, values in by
    )


def _condition(column: str, values: Iterable[str], salt: str) -> str:
    """Say in SQL, by hash: the log of a table keeps the condition of a deletion for ever."""
    from components.stores.lake import quote

    hashes = ", ".join(f"'{hide(one, salt)}'" for one in values)
    quoted = salt.replace("'", "''")
    return f"encode(sha256(concat('{quoted}', {quote(column)})), 'hex') in ({hashes})"


def _parts(values: Iterable[str]) -> list[list[str]]:
    every = sorted(values)
    return [every[at : at + _A_CONDITION] for at in range(0, len(every), _A_CONDITION)]


def _ids_of(home: "Home", pipeline: Pipeline, whom: Whom) -> set[str]:
    """Find the record ids of entities, in every version of records and quarantine."""
    from components.stores.lake import values_held

    def of_entity(rows: pa.Table) -> pa.ChunkedArray:
        known = pc.is_in(rows[pipeline.entity], value_set=pa.array(sorted(whom.entities)))
        return pc.fill_null(known, fill_value=False)

    def in_quarantine(rows: pa.Table) -> pa.Array:
        texts = rows[_JSON[QUARANTINE]].to_pylist()
        return pa.array([_in_json(text, pipeline, whom) for text in texts], pa.bool_())

    found: set[str] = set()
    for table, chosen in ((RECORDS, of_entity), (QUARANTINE, in_quarantine)):
        if home.lake.exists(pipeline.name, table):
            folder = home.lake.folder(pipeline.name, table)
            found |= values_held(folder, RECORD_ID, chosen)
    return found


def _missing(
    home: "Home", pipeline: Pipeline, ids: Sequence[str], entities: Sequence[str]
) -> tuple[str, ...]:
    """Say of whom no table holds a row, in any version; before anything is removed."""
    from components.stores.lake import values_held

    wanted = pa.array(sorted({*ids}), pa.string())

    def named(rows: pa.Table) -> Any:
        return pc.fill_null(pc.is_in(rows[RECORD_ID], value_set=wanted), fill_value=False)

    held: set[str] = set()
    for table in ORDER:
        if ids and home.lake.exists(pipeline.name, table):
            held |= values_held(home.lake.folder(pipeline.name, table), RECORD_ID, named)
    nobody = [
        one
        for one in dict.fromkeys(entities)
        if not _ids_of(home, pipeline, Whom(frozenset(), frozenset({one})))
    ]
    return (*(one for one in dict.fromkeys(ids) if one not in held), *nobody)


# --- which models -------------------------------------------------------------------------------


def _note_snapshots(
    home: "Home", pipeline: Pipeline, erasure: Erasure
) -> tuple[Erasure, tuple[str, ...]]:
    """Say of every model version which rows of its snapshot will go, before they do."""
    told, unknown = erased(home.lake, pipeline.name), []
    noted, order = dict(erasure.snapshots), told.next_order
    for version in home.registry.versions(pipeline.name):
        if version.number in noted:
            continue
        try:
            learnt = read_learnt(home, pipeline.name, version.number)
            found = find(home, pipeline.name, version.number, learnt, told)
        except StoreUnreachableError:
            raise
        except StoreError:
            # It cannot be rebuilt as it is: there is no digest that an erasure could break.
            unknown.append(version.number)
            continue
        number, positions = concerned(found, Erased([erasure]))
        if positions or found.pipeline.history:
            noted[version.number] = Held(number, positions, order)
    return remember(home.lake, pipeline.name, replace(erasure, snapshots=noted)), tuple(unknown)


def _note_remaining(home: "Home", pipeline: Pipeline, erasure: Erasure) -> Erasure:
    """Say of every model version that they concern what its rows are now."""
    told = erased(home.lake, pipeline.name)
    noted = {}
    for version, held in erasure.snapshots.items():
        learnt = read_learnt(home, pipeline.name, version)
        rows = find(home, pipeline.name, version, learnt, told).rows
        noted[version] = replace(held, remaining=digest_rows(rows))
    done = replace(erasure, snapshots=noted, state="done")
    return remember(home.lake, pipeline.name, done)


def _theirs(
    home: "Home", pipeline: Pipeline, whom: Whom, packages: dict[str, str]
) -> Iterator[str]:
    """Say what is left to people, each with what to do."""
    labels = f" and {pipeline.labels.shown}" if pipeline.labels is not None else ""
    yield (
        f"the source {pipeline.source.shown}{labels} is yours and was not touched; rows of erased "
        "people in it are left out by the next ingest"
    )
    if pipeline.sink is not None:
        few = sorted(whom.ids)[:_SHOWN]
        ids = ", ".join("'" + one.replace("'", "''") + "'" for one in few)
        more = f" (and {len(whom.ids) - _SHOWN:,} more ids)" if len(whom.ids) > _SHOWN else ""
        # For a person to read and run: nothing here executes it.
        statement = f"delete from {pipeline.sink.table} where record_id in ({ids})"  # noqa: S608
        yield f"the sink {pipeline.sink.url} is yours, untouched; run there: {statement}{more}"
    if packages:
        named = ", ".join(f"{version} ({place})" for version, place in packages.items())
        whom_too = (
            f", and {pipeline.entity}, which is a feature"
            if pipeline.entity in pipeline.inputs
            else ", without ids"
        )
        yield (
            f"the registered packages of version {named} may hold rows of them in "
            f"{', '.join(SAMPLES)}: feature values{whom_too}. They are not rewritten, for each is "
            "bound to the digest under which it was judged and promoted. Train anew; once another "
            "version is in charge, delete these in MLflow and their folders (they cannot be "
            "rolled back to then), or accept what they hold"
        )
    yield f"backups of {home.root} are yours; erase anew after restoring one"
