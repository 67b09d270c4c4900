"""`diagnose` and `resolve`: what is wrong with the data, and what a person says to it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from components.errors import InvalidInputError
from driftwheel.app import settings_of
from driftwheel.onestep import AsOf, Json, Name
from driftwheel.output import console, print_json, say, table, working

if TYPE_CHECKING:
    from rich.table import Table

PANEL = "One step"


def register(app: typer.Typer) -> None:
    """Hang these commands into the app."""
    for command in (diagnose, resolve):
        app.command(rich_help_panel=PANEL)(command)


def diagnose(context: typer.Context, name: Name, as_of: AsOf = None, json: Json = False) -> None:
    """Look for data faults, and say which stand."""
    from driftwheel.stepping import diagnose_now

    with working(f"diagnose {name}"):
        done = diagnose_now(settings_of(context), name, as_of)
    if json:
        print_json(done)
        return
    if not done["faults"]:
        console().print(f"{name}: the data is well, as of {done['as_of']}", markup=False)
        return
    console().print(_table(done), markup=False)
    say(
        f"{'Nothing is trained meanwhile. ' if done['blocking'] else ''}These rows are set aside. "
        f"Say what it is: `driftwheel resolve {name} KEY --reingest` (mended in the source), "
        "`--accept` (the new normal) or `--discard` (out for ever), with `--reason …`."
    )


def resolve(
    context: typer.Context,
    name: Name,
    fault: Annotated[
        str, typer.Argument(help="Its key, its name, or name:column; `diagnose` lists them.")
    ],
    reason: Annotated[str, typer.Option(help="Why; it is recorded with your name.")],
    reingest: Annotated[
        bool, typer.Option("--reingest", help="It was mended: read the source again.")
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="It is the new normal: its rows return.")
    ] = False,
    discard: Annotated[bool, typer.Option("--discard", help="Its rows stay out for ever.")] = False,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Say what a data fault is, and so end it."""
    from driftwheel.stepping import resolve_fault

    ways = {"reingested": reingest, "accepted": accept, "discarded": discard}
    chosen = [how for how, is_chosen in ways.items() if is_chosen]
    if len(chosen) != 1:
        raise InvalidInputError(
            "resolve needs exactly one of --reingest, --accept and --discard. "
            f"Got {len(chosen)} of them"
        )
    with working(f"resolve {name}"):
        done = resolve_fault(settings_of(context), name, fault, chosen[0], reason, as_of)
    if json:
        print_json(done)
    else:
        console().print(_outcome(name, done), markup=False, soft_wrap=True)


def _table(done: dict[str, Any]) -> "Table":
    made = table(
        f"{done['pipeline']}: data faults as of {done['as_of']}",
        "key", "fault", "column", "since", "until", "rows", "evidence",
    )  # fmt: skip
    for row in done["faults"]:
        made.add_row(
            row["key"], row["fault"], row["column"], _moment(row["since"]), _moment(row["until"]),
            str(row["rows"]), row["evidence"],
        )  # fmt: skip
    return made


def _outcome(name: str, done: dict[str, Any]) -> str:
    what = f"{name}: {done['fault']} in {done['column']} since {_moment(done['since'])}"
    if done["state"] == "open":
        return (
            f"{what} is still there: {done['evidence']}. The source was read again and says the "
            "same; mend it and try again, or say --accept or --discard"
        )
    meaning = {
        "reingested": "the source was read again, and it is gone",
        "accepted": "its rows count as any others from now on",
        "discarded": "its rows stay out of every training",
    }
    return f"{what} has ended: {meaning[done['state']]}"


def _moment(time: str) -> str:
    """Write an ISO time without its midnight."""
    return time[:16].replace("T", " ").removesuffix(" 00:00")
