"""`diagnose` and `resolve`: what is wrong with the data, and what a person says to it."""

from typing import Annotated, Any

import typer

from components.errors import InvalidInputError
from components.known_faults import aside_in_words
from driftwheel.app import settings_of
from driftwheel.onestep import AsOf, Json, Name
from driftwheel.output import console, hang, in_words, print_json, say, working

PANEL = "One step"
_OF_ROWS = ("duplicated", "id_burst", "clock_jump")
"""Faults of rows that should not be there; what was read once is never taken out again."""


def register(app: typer.Typer) -> None:
    """Hang these commands into the app."""
    for command in (diagnose, resolve):
        app.command(rich_help_panel=PANEL)(command)


def diagnose(context: typer.Context, name: Name, as_of: AsOf = None, json: Json = False) -> None:
    """Look for data faults, and say which stand."""
    from driftwheel.resolving import diagnose_now

    with working(f"diagnose {name}"):
        done = diagnose_now(settings_of(context), name, as_of)
    if json:
        print_json(done)
        return
    if not done["faults"]:
        console().print(f"{name}: the data is well, as of {in_words(done['as_of'])}", markup=False)
        return
    print_faults(done)
    say(
        f"{'Nothing is trained meanwhile. ' if done['blocking'] else ''}"
        "Say what each is: --reingest (the source was mended), --accept (it is the new normal) or "
        "--discard (its rows stay out for ever)."
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
    from driftwheel.resolving import resolve_fault

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


def print_faults(done: dict[str, Any]) -> None:
    """Print a line a fault, and under it the evidence and the command that ends it."""
    shown, name = console(), done["pipeline"]
    count = len(done["faults"])
    plural = "s" if count > 1 else ""
    shown.print(f"{name}: {count} data fault{plural} as of {in_words(done['as_of'])}", markup=False)
    for row in done["faults"]:
        aside = aside_in_words(row["fault"], row["rows"])
        line = f"{row['fault']} in {row['column']}, {_days(row)}: {aside}"
        shown.print(f"\n{line}", markup=False, style="bold")
        hang(shown, "    ", f"{row['evidence']}.")
        ends = f"driftwheel resolve {name} {row['key']} --reingest|--accept|--discard --reason …"
        hang(shown, "    ", ends)


def _days(row: dict[str, Any]) -> str:
    """Write the days that a fault reaches into, the last one too."""
    import pandas as pd

    first = pd.Timestamp(row["since"])
    last = max(first, pd.Timestamp(row["until"]) - pd.Timedelta(1, "us"))
    if first.date() == last.date():
        return f"{first:%Y-%m-%d}"
    return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


def _outcome(name: str, done: dict[str, Any]) -> str:
    what = f"{name}: {done['fault']} in {done['column']} since {in_words(done['since'])}"
    read = done.get("ingested", {}).get("said", "")
    if done["state"] == "open":
        gone = (
            " Rows that the source has no more stay in the lake: --discard leaves them out."
            if done["fault"] in _OF_ROWS
            else ""
        )
        ingested = done["ingested"]
        same = "" if ingested["corrected"] or ingested["labels"] else "; the source says the same"
        return (
            f"{what} is still there ({read}{same}): {done['evidence']}. Mend the source and try "
            f"again, or say --accept or --discard.{gone}"
        )
    meaning = {
        "reingested": f"{read}, and it is gone",
        "accepted": "its rows count as any others from now on",
        "discarded": "its rows stay out of every training",
    }
    if done["fault"] == "missing_period":
        late = "no rows arrived, and none are asked for; those that still come count as any others"
        meaning |= {"accepted": late, "discarded": late}
    return f"{what} has ended: {meaning[done['state']]}"
