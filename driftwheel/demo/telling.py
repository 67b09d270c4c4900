"""The demo's timeline and summary, for a person."""

import sys
import textwrap
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from driftwheel.demo.story import Told
from driftwheel.demo.summing_up import Worth
from driftwheel.output import table

if TYPE_CHECKING:
    from components.stores.ledger import Decision

_MARKS = {
    "promoted": "green",
    "refused": "yellow",
    "wait": "yellow",
    "failed": "red",
    "data_fault": "red",
}
_HEAD = f"{'date':<10}  {'rows':>5}  {'live':>6}  {'naive':>6}  verdict and why, action"


def print_head(console: Console, metric: str) -> None:
    """Print the timeline's heading."""
    console.print(f"\n[bold]{_HEAD}[/]   (errors: {metric} of the week before)")


def print_line(console: Console, told: Told) -> None:
    """Print one step of the timeline."""
    live, naive = _number(told.live_error), _number(told.naive_error)
    start = f"{told.at.date()!s:<10}  {told.rows or '':>5}  {live:>6}  {naive:>6}  "
    words = f"{told.verdict}: {told.why}" if told.verdict != "hold" else _short(told)
    console.print(start + _wrapped(words, console, len(start)), markup=False)
    for said in told.data_faults:
        words = " " * len(start) + _wrapped(f"data fault: {said}", console, len(start))
        console.print(words, style=_MARKS["data_fault"], markup=False)
    if told.decision is not None:
        _print_decision(console, told.decision, len(start))


def _print_decision(console: Console, decision: "Decision", indent: int) -> None:
    version = f" version {decision.served_version}" if decision.served_version else ""
    mark = " (taken up by reconcile)" if decision.by_reconcile else ""
    words = f"{decision.what}{version}{mark}: {decision.why}"
    colour = _MARKS.get(decision.what, "white")
    console.print(" " * indent + _wrapped(words, console, indent), style=colour, markup=False)


def _short(told: Told) -> str:
    drifted = f"{', '.join(told.drifted)} drifted" if told.drifted else "nothing drifted"
    return f"hold: {drifted}"


def _wrapped(words: str, console: Console, indent: int) -> str:
    width = max(40, console.width - indent)
    return ("\n" + " " * indent).join(textwrap.wrap(words, width))


def retrainings_table(worth: Worth) -> Table:
    """List each retraining with the request, the event and the flow run that it came by."""
    made = table(
        "Retrainings: request in the ledger, event and flow run in Prefect",
        "as of", "came by", "request", "event", "flow run", "outcome", "version",
    )  # fmt: skip
    for decision in worth.retrainings:
        made.add_row(
            str(decision.as_of.date()),
            _came_by(decision),
            decision.request_id or "-",
            (decision.event_id or "-")[:8],
            (decision.flow_run_id or "-")[:8],
            decision.what,
            decision.served_version or "-",
        )
    return made


def _came_by(decision: "Decision") -> str:
    if decision.by_reconcile:
        return "reconcile"
    return "event" if decision.event_id else "hand"


def print_summary(console: Console, worth: Worth, seconds: float, home_option: str) -> None:
    """Print what the loop was worth, and where to look further."""
    console.print()
    console.print(retrainings_table(worth))
    console.print()
    console.print(f"{worth.metric} on the same {worth.rows} rows:", style="italic")
    made = table("", "who", worth.metric)
    made.add_row("first model, frozen", f"{worth.frozen:.1f}")
    made.add_row("best naive baseline", f"{worth.naive:.1f}")
    made.add_row("[bold]the loop[/]", f"[bold]{worth.loop:.1f}[/]")
    console.print(made)
    console.print(
        f"\n{len(worth.retrainings)} retrainings: {worth.count('promoted')} promoted, "
        f"{worth.count('refused')} refused, {worth.count('wait')} wait; "
        f"{worth.data_faults} data faults found; {seconds:.0f} s\n"
    )
    for command, what in _further(home_option):
        console.print(f"  {command:<48} {what}", markup=False)


def _further(home_option: str) -> list[tuple[str, str]]:
    # As the person called it: in a clone it is .venv/bin/driftwheel.
    called = sys.argv[0] if sys.argv[0].endswith("driftwheel") else "driftwheel"
    start = f"{called}{home_option}"
    return [
        (f"{start} up", "browse the runs in Prefect, the models in MLflow"),
        (f"{start} history bikeshare", "every decision, and why"),
        (f"{start} status", "who is in charge, and how it does"),
        (f"{start} backtest bikeshare", "policies compared on two years of history"),
    ]


def line_as_dict(told: Told) -> dict[str, Any]:
    """Lay a line of the timeline out for ``--json``."""
    from flows.steps.telling import decision_row

    return {
        "at": told.at.isoformat(),
        "rows": told.rows,
        "live_error": told.live_error,
        "naive_error": told.naive_error,
        "drifted": list(told.drifted),
        "verdict": told.verdict,
        "reason": told.why,
        "data_faults": list(told.data_faults),
        "decision": decision_row(told.decision) if told.decision is not None else None,
    }


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
