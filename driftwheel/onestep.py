"""One step of the loop, now: as a Prefect flow run where a server answers, else right here."""

from datetime import datetime
from typing import Annotated, Any

import typer

from driftwheel.app import settings_of
from driftwheel.following import after_decision, after_verdict
from driftwheel.output import console, hang, print_json, say, working

PANEL = "One step"

Name = Annotated[str, typer.Argument(help="The pipeline.")]
AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"],
        help="See only what was known by then; UTC when naive. Default: now.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON document and nothing else.")]


def register(app: typer.Typer) -> None:
    """Hang these commands into the app."""
    for command in (ingest, train, score, monitor, retrain, reconcile, maintain):
        app.command(rich_help_panel=PANEL)(command)


def ingest(context: typer.Context, name: Name, as_of: AsOf = None, json: Json = False) -> None:
    """Read what is new in the source, check it, append it."""
    done = _step(context, "ingest", name, as_of)
    words = (
        f"{name}: {done.get('records')} records and {done.get('labels')} labels added, "
        f"{done.get('quarantined')} rows set aside"
    )
    if done.get("late"):
        words += f"; {done['late']} of the records came late"
    _tell(done, words, as_json=json)


def train(context: typer.Context, name: Name, as_of: AsOf = None, json: Json = False) -> None:
    """Train as of a moment, and let the gate decide."""
    _tell_decision(_step(context, "train", name, as_of), as_json=json)


def score(context: typer.Context, name: Name, as_of: AsOf = None, json: Json = False) -> None:
    """Predict what nobody has predicted yet, and log it."""
    done = _step(context, "score", name, as_of)
    by = ", ".join(f"{rows} by version {v}" for v, rows in done["by_version"].items())
    words = f"{name}: {done['rows']} records scored{f' ({by})' if by else ''}"
    if done.get("stood_in"):
        words += f"; {done['stood_in']} with a stand-in for a faulty value"
    if done.get("refused"):
        words += f"; {done['refused']} wait for the end of a data fault"
    words += _unanswered(done["unanswered"])
    if "sent" in done:
        words += f"; {done['sent']} predictions sent to the sink"
    _tell(done, "\n".join([words, *_of_shadow(done), *done["alerts"]["lines"]]), as_json=json)


def _unanswered(told: dict[str, Any]) -> str:
    """Say which rows have no answer, why, and what to do."""
    if not told["quarantined"]:
        return ""
    most = f"{told['rows']} because {told['column']} {told['rule']}"
    return f"; {told['quarantined']} rows in quarantine have no answer, {most}: {told['advice']}"


def _of_shadow(done: dict[str, Any]) -> list[str]:
    """Say what became of the challenger in shadow, where there is one."""
    one = done.get("shadow")
    if one is None:
        return []
    who = f"{done['pipeline']}: in shadow, version {one['version']}"
    if not one["said"]:
        return [f"{who} answered {one['rows']} records"]
    return [f"{who}: {one['what']}{': ' if one['what'] else ''}{one['said']}"]


def monitor(context: typer.Context, name: Name, as_of: AsOf = None, json: Json = False) -> None:
    """Measure the windows that are complete, and judge the newest."""
    done = _step(context, "monitor", name, as_of)
    asked = f" (request {done['request_id']})" if done["request_id"] else ""
    said = f"{name}: {done['verdict']}{asked}: {done['reason']}"
    lines = [said, *_of_shadow(done), *done["alerts"]["lines"]]
    _tell(done, "\n".join(lines), as_json=json)
    _say_next(after_verdict(done), as_json=json)


def retrain(context: typer.Context, name: Name, as_of: AsOf = None, json: Json = False) -> None:
    """Carry out the request that waits; ask for one when none does."""
    _tell_decision(_step(context, "retrain", name, as_of), as_json=json)


def reconcile(
    context: typer.Context,
    name: Name,
    grace: Annotated[
        float, typer.Option(help="Leave requests to their event for so many seconds.")
    ] = 0.0,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Take up what events lost: requests without a worker, aliases behind the ledger."""
    done = _step(context, "reconcile", name, as_of, grace_seconds=grace)
    lines = [f"{taken['request_id']}: {taken['what']}" for taken in done["taken_up"]]
    lines += [*done["moved_by_hand"], *done["alerts"]["lines"]]
    _tell(done, "\n".join(lines) or f"{name}: nothing was lost", as_json=json)


def maintain(context: typer.Context, name: Name, as_of: AsOf = None, json: Json = False) -> None:
    """Merge small files, delete rows past `retain`, and files that no model needs."""
    done = _step(context, "maintain", name, as_of)
    said = [f"files merged: {_by_table(done['merged']) or 'none, there is no table yet'}"]
    for field, words in (
        ("deleted", "rows past retain deleted"),
        ("vacuumed", "files removed"),
        ("kept", "old versions kept for models"),
    ):
        counts = {
            table: len(found) if isinstance(found, list) else found
            for table, found in done.get(field, {}).items()
        }
        if any(counts.values()):
            said.append(f"{words}: {_by_table(counts)}")
    _tell(done, f"{name}: {'; '.join(said)}", as_json=json)


def _by_table(counts: dict[str, int]) -> str:
    return ", ".join(f"{table} {count}" for table, count in counts.items())


def _step(
    context: typer.Context, flow: str, name: str, as_of: datetime | None, **more: Any
) -> dict[str, Any]:
    from driftwheel.stepping import run_step

    settings = settings_of(context)
    with working(f"{flow} {name}") as told:
        return run_step(settings, flow, name, as_of, told=told, **more)


def _tell(done: dict[str, Any], words: str, *, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    shown = console()
    for line in words.splitlines():
        hang(shown, "", line)


def _say_next(words: str, *, as_json: bool) -> None:
    if words and not as_json:
        say(words)


def _tell_decision(done: dict[str, Any], *, as_json: bool) -> None:
    version = f" version {done['served_version']}" if done.get("served_version") else ""
    _tell(done, f"{done['pipeline']}: {done['what']}{version}: {done.get('why')}", as_json=as_json)
    _say_next(after_decision(done), as_json=as_json)
    if done["what"] == "failed":
        raise typer.Exit(1)
