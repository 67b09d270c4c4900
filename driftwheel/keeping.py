"""`snapshot`, `card`, `erase`: what a model learnt from and is worth; taking people out of it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from components.errors import InvalidInputError, StoreError
from driftwheel.app import settings_of
from driftwheel.onestep import Json, Name
from driftwheel.output import console, print_json, say, working

if TYPE_CHECKING:
    from flows.steps.erasing import ErasureReport
    from flows.steps.home import Home

PANEL = "Expert"
_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Hang these commands into the app."""
    for command in (snapshot, card, erase):
        app.command(rich_help_panel=PANEL)(command)


def snapshot(
    context: typer.Context,
    name: Name,
    version: Annotated[str, typer.Option("--version", help="The model version.")],
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Write the rows here, .parquet or .csv.", show_default=False),
    ] = None,
    remaining: Annotated[
        bool, typer.Option("--remaining", help="Where rows were erased: give those that are left.")
    ] = False,
    json: Json = False,
) -> None:
    """Rebuild the rows that a model version learnt from, and check them."""
    from flows.opening import open_home
    from flows.steps.rebuilding import check_target, rebuild, write_rows

    home = open_home(settings_of(context))
    home.pipeline(name)  # a misspelt name is said before anything starts
    if to is not None:
        check_target(to)
    _require_version(home, name, version)
    with working(f"rebuilding what version {version} of {name} learnt from"):
        made = rebuild(home, name, version, remaining=remaining)
        if to is not None:
            write_rows(made.rows, to)
    if json:
        print_json(
            {
                "pipeline": name,
                "version": version,
                "snapshot": made.snapshot,
                "as_of": made.as_of,
                "rows": len(made.rows),
                "digest": made.digest,
                "stated_rows": made.stated_rows,
                "stated_digest": made.stated_digest,
                "exact": made.digest == made.stated_digest,
                "erased": made.erased,
                "history_changed": made.history_changed,
                "file": None if to is None else str(to),
            }
        )
        return
    exact = (
        "as they were"
        if made.digest == made.stated_digest
        else f"all that is left of {made.stated_rows:,}; {made.erased:,} were erased"
    )
    written = "" if to is None else f", written to {to}"
    console().print(
        f"{name} version {version}: {len(made.rows):,} rows, {exact} (digest {made.digest[:12]})"
        f"{written}",
        markup=False,
        soft_wrap=True,
    )


def card(
    context: typer.Context,
    name: Name,
    version: Annotated[
        str | None,
        typer.Option(
            "--version", help="The model version; default: the champion.", show_default=False
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Write the card here, as Markdown.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Make the model card of a version anew; MLflow's copy follows."""
    from flows.opening import open_home
    from flows.steps.carding import keep_card, make_card

    home = open_home(settings_of(context))
    home.pipeline(name)  # a misspelt name is said before anything starts
    if to is not None and not to.parent.is_dir():
        raise InvalidInputError(f"there is no folder {to.parent}; make it, or name another")
    chosen = _in_charge(home, name) if version is None else version
    _require_version(home, name, chosen)
    made = make_card(home, name, chosen)
    copy = "missing" if made.kept is None else "same" if made.kept == made.text else "differed"
    keep_card(home, made)
    if to is not None:
        to.write_text(made.text, encoding="utf-8")
    if json:
        print_json(
            {
                "pipeline": name,
                "version": made.version,
                "run_id": made.run_id,
                "copy": copy,
                "card": made.text,
                "file": None if to is None else str(to),
            }
        )
        return
    if to is None:
        console().print(made.text, markup=False, highlight=False, soft_wrap=True, end="")
    else:
        say(f"written to {to}")
    if copy != "same":
        how = "had none" if copy == "missing" else "had another one"
        say(f"MLflow's run {made.run_id} {how}; it has this one now")


def _in_charge(home: "Home", name: str) -> str:
    champion = home.ledger.champion(name)
    if champion is None:
        raise StoreError(
            f"no model of {name} is in charge: name a --version, or train one with "
            f"`driftwheel train {name}`"
        )
    return champion.version


def _require_version(home: "Home", name: str, version: str) -> None:
    """Say which versions there are, where one is asked for that there is not."""
    there = [one.number for one in home.registry.versions(name)]
    if version in there:
        return
    *before, last = there[-_SHOWN:] or [""]
    more = f" (and {len(there) - _SHOWN} before these)" if len(there) > _SHOWN else ""
    has = f"it has {', '.join(before)}{' and ' if before else ''}{last}{more}"
    raise StoreError(
        f"there is no version {version} of {name}; "
        f"{has if there else f'it has none yet: `driftwheel train {name}` makes the first'}"
    )


def erase(
    context: typer.Context,
    name: Name,
    reason: Annotated[str, typer.Option("--reason", help="Why; recorded with who.")],
    ids: Annotated[
        list[str] | None,
        typer.Option("--id", help="A record id; as often as needed.", show_default=False),
    ] = None,
    entities: Annotated[
        list[str] | None,
        typer.Option(
            "--entity", help="A value of the entity column; as often as needed.", show_default=False
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask; it asks only at a terminal.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove a person's rows from every table and every old version, for good."""
    from flows.opening import open_home
    from flows.running import user, wall_clock
    from flows.steps.erasing import erase as erase_rows

    home = open_home(settings_of(context))
    pipeline = home.pipeline(name)
    named = len({*(ids or [])}) + len({*(entities or [])})
    if named and not yes:
        _ask(f"Remove all rows of {named} ids or entities from {name}, for good?")
    with working(f"erasing from {name}") as told:
        done = erase_rows(
            home,
            pipeline,
            ids=tuple(ids or ()),
            entities=tuple(entities or ()),
            reason=reason,
            who=user(),
            now=wall_clock(),
            told=told,
        )
    if json:
        print_json(done)
    else:
        _tell(done)
    if len(done.missing) == named:
        raise typer.Exit(1)


def _ask(question: str) -> None:
    """Ask at a terminal; a script that names ids and a reason has said what it wants."""
    if sys.stdin.isatty() and not typer.confirm(question, err=True):
        say("nothing was erased")
        raise typer.Exit(1)


def _tell(done: "ErasureReport") -> None:
    removed = ", ".join(f"{table} {rows}" for table, rows in done.removed.items())
    lines = []
    if any(done.removed.values()) or any(done.rewritten.values()) or not done.missing:
        gone = f"erased for good ({done.id}); rows removed: {removed or 'none'}"
        lines.append(f"{done.pipeline}: {gone}")
    if done.missing:
        lines.append(
            f"{done.pipeline}: nothing found for {', '.join(done.missing)}; looked in "
            f"{', '.join(done.removed) or 'no table, there is none yet'}, old versions included. "
            "See how the id or entity is spelt in the source; rows under this name are kept out "
            f"from now on ({done.id})"
        )
    for version, rows in done.snapshots.items():
        lines.append(f"version {version} had learnt from {rows} of them; its snapshot says so now")
    if done.copies:
        copies = "copy" if done.copies == 1 else "copies"
        lines.append(f"{done.copies} fetched {copies} of these versions removed from the cache")
    if done.unknown:
        lines.append(
            f"version {', '.join(done.unknown)} cannot be rebuilt, so it cannot be said whether "
            "it learnt from them"
        )
    lines += [f"left to you: {one}" for one in done.theirs]
    console().print("\n".join(lines), markup=False, soft_wrap=True)
