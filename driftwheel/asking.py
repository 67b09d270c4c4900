"""`quality` and `alerts`: what is known of a pipeline at a moment, and what people were told."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from components.errors import InvalidInputError, ServiceError
from driftwheel.app import settings_of
from driftwheel.onestep import AsOf, Json, Name
from driftwheel.output import console, hang, print_json, say, table, working

if TYPE_CHECKING:
    from rich.table import Table

    from components.pipelines import Pipeline
    from flows.steps.alerting import Entry
    from flows.steps.home import Home
    from flows.steps.judging import Judged
    from monitoring.quality import WindowQuality

PANEL = "Everyday"
_DATE = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
_TEST = "test"
_SHARES = (0.5, 0.95, 0.99)
_MOST_REASONS = 3
_ODD = ("too_young", "labels_missing", "partial")
"""States of a window that ask for a reason."""


def register(app: typer.Typer) -> None:
    """Hang these commands into the app."""
    for command in (quality, alerts):
        app.command(rich_help_panel=PANEL)(command)


def quality(
    context: typer.Context,
    name: Name,
    # Behind the flag it reads as the flag's own value, which Typer cannot leave open.
    age: Annotated[
        str | None,
        typer.Argument(help="Behind --at-maturity, such as 3d. Default: the fair age, measured."),
    ] = None,
    as_of: AsOf = None,
    start: Annotated[
        datetime | None, typer.Option("--from", formats=_DATE, help="The first window's start.")
    ] = None,
    end: Annotated[
        datetime | None, typer.Option("--to", formats=_DATE, help="The last window's end.")
    ] = None,
    at_maturity: Annotated[
        bool, typer.Option("--at-maturity", help="Each label as known at AGE after its event.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="Where a picture goes, as PNG.")] = None,
    json: Json = False,
) -> None:
    """Say how good the predictions of each window were, as known at a moment."""
    from flows.opening import open_home
    from flows.running import moment
    from flows.steps.judging import judge_windows

    asked = _age(age, at_maturity=at_maturity)
    settings = settings_of(context)
    home = open_home(settings)
    pipeline = home.pipeline(name)
    known_at = moment(as_of)
    with working(f"quality {name}"):
        judged = judge_windows(
            home,
            pipeline,
            as_of=known_at,
            since=None if start is None else moment(start),
            until=None if end is None else moment(end),
            at_maturity=at_maturity,
            age=asked,
        )
    done = _document(pipeline, judged, known_at.isoformat())
    if plot is not None:
        from monitoring.quality_plot import draw_quality

        title = f"{name}: as known at {_moment(done['as_of'])}{_at_age(done)}"
        metric = pipeline.resolved_metric
        draw_quality(judged.windows, judged.curve, plot, metric=metric, title=title)
        say(f"error over time: {plot}")
    if json:
        print_json(done)
    else:
        _print_quality(pipeline, done, judged)


def alerts(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(help="One pipeline (default: all), or `test`: send a test message."),
    ] = None,
    json: Json = False,
) -> None:
    """List what people were told, and what still waits; `alerts test` tries the addresses."""
    from flows.opening import open_home

    home = open_home(settings_of(context))
    if name == _TEST:
        _test(home, as_json=json)
        return
    done = _alerts_document(home, name)
    if json:
        print_json(done)
        return
    if done["alerts"]:
        console().print(_alerts_table(done["alerts"]), markup=False)
    else:
        say("no alert yet: nobody had to be told anything")
    if not done["channels"]:
        say(
            "Alerts are only logged. To have them sent, name addresses in driftwheel.toml: "
            '`[alerts]`, `urls = ["${SLACK_URL}"]`; `driftwheel alerts test` tries them.'
        )


def _age(text: str | None, *, at_maturity: bool) -> timedelta | None:
    """Read the age that labels are to have.

    Raises
    ------
    InvalidInputError
        If it is none, or nothing asks for it.

    """
    from components.pipelines.durations import parse_duration

    if text is None:
        return None
    if not at_maturity:
        raise InvalidInputError(f"quality takes an age behind --at-maturity only. Got {text!r}")
    try:
        return parse_duration(text)
    except ValueError as problem:
        raise InvalidInputError(f"--at-maturity {text!r}: {problem}") from problem


def _document(pipeline: "Pipeline", judged: "Judged", as_of: str) -> dict[str, Any]:
    from components.pipelines.durations import write_duration

    age = judged.age
    return {
        "pipeline": pipeline.name,
        "as_of": as_of,
        "metric": pipeline.resolved_metric,
        "lower_is_better": not _higher_is_better(pipeline),
        "window": write_duration(pipeline.monitor.window),
        "at_maturity": age is not None,
        "age": None if age is None else write_duration(age.to_pytimedelta()),
        "maturity": _maturity(judged),
        "windows": [_window(one, judged) for one in judged.windows],
        "older_windows": judged.left_out,
    }


def _higher_is_better(pipeline: "Pipeline") -> bool:
    from components.pipelines.spec import HIGHER_IS_BETTER

    return pipeline.resolved_metric in HIGHER_IS_BETTER


def _maturity(judged: "Judged") -> dict[str, Any]:
    """Lay out how soon labels are known: ages in seconds, of the labels that come."""
    from components.maturity import describe, short_age

    curve = judged.curve
    if curve is None:
        return dict.fromkeys(
            ("rows", "labelled", "method", "known_by", "never", "fair_age", "said")
        )
    ages = {f"{share:.0%}": curve.age_of(share) for share in _SHARES}
    return {
        "rows": curve.rows,
        "labelled": curve.labelled,
        "method": judged.method,
        "known_by": {
            share: None if age is None else age.total_seconds() for share, age in ages.items()
        },
        "never": 1 - curve.plateau if curve.labelled else None,
        "fair_age": judged.fair.total_seconds(),
        "said": f"{describe(curve)}; a fair age is {short_age(judged.fair)}",
    }


def _window(one: "WindowQuality", judged: "Judged") -> dict[str, Any]:
    seen = one.seen
    return {
        "from": one.window.start.isoformat(),
        "to": one.window.end.isoformat(),
        "rows": seen.made,
        "labelled": seen.known,
        "score": one.score,
        "score_ci": None if one.interval is None else list(one.interval),
        "naive": one.naive,
        "state": _state(one, judged),
        "reason": seen.said,
    }


def _state(one: "WindowQuality", judged: "Judged") -> str:
    """Name how far a number can be trusted; only two of these have one that can."""
    from monitoring.maturity import said_lacking

    seen = one.seen
    if not seen.made:
        return "no_rows"
    if said_lacking(seen.said):
        return "labels_missing"
    # At an age that only fast labels reach, the number is of fast labels.
    early = judged.age is not None and judged.age < judged.fair
    return "too_young" if early or seen.state == "waiting" else seen.state


def _print_quality(pipeline: "Pipeline", done: dict[str, Any], judged: "Judged") -> None:
    shown = console()
    if not done["windows"]:
        shown.print(
            f"{pipeline.name}: no complete window of {done['window']} with predictions, as known "
            f"at {_moment(done['as_of'])}",
            markup=False,
        )
    else:
        better = "lower" if done["lower_is_better"] else "higher"
        title = (
            f"{done['pipeline']}: {done['metric']} by window of {done['window']}, as known at "
            f"{_moment(done['as_of'])}{_at_age(done)} ({better} is better)"
        )
        hang(shown, "", title)
        shown.print(_quality_table(done), markup=False)
        odd = [one for one in done["windows"] if one["state"] in _ODD]
        for row in odd[-_MOST_REASONS:]:
            shown.print(f"{_moment(row['from'])}: {row['reason']}", markup=False)
    if done["maturity"]["rows"]:
        shown.print(f"labels: {done['maturity']['said']}", markup=False)
    if judged.left_out:
        say(f"{judged.left_out} older windows: `--from` shows them")


def _quality_table(done: dict[str, Any]) -> "Table":
    made = table(
        "", "from", "rows", "labelled", done["metric"], "95 % interval", "naive", "state",
    )  # fmt: skip
    for row in done["windows"]:
        share = f"{row['labelled'] / row['rows']:.0%}" if row["rows"] else "-"
        ends = row["score_ci"]
        made.add_row(
            _moment(row["from"]),
            str(row["rows"]),
            share,
            _number(row["score"]),
            "-" if ends is None else f"{_number(ends[0])} to {_number(ends[1])}",
            _number(row["naive"]),
            row["state"].replace("_", " "),
        )
    return made


def _at_age(done: dict[str, Any]) -> str:
    return f", each label at {done['age']}" if done["at_maturity"] else ""


def _alerts_document(home: "Home", name: str | None) -> dict[str, Any]:
    from components.pipelines import find_pipeline
    from flows.steps.alerting import alerts_of
    from monitoring.alerts import channels_of

    if name is not None:
        find_pipeline(name, home.pipeline_folders)
    names = [name] if name is not None else home.pipelines()
    found = [entry for one in names for entry in alerts_of(home, one)] if home.begun else []
    found.sort(key=lambda entry: entry.written_at)
    return {
        "alerts": [_alert_row(entry) for entry in found],
        "pending": sum(entry.state == "pending" for entry in found),
        "channels": [channel.name for channel in channels_of(home.alerts)],
    }


def _alert_row(entry: "Entry") -> dict[str, Any]:
    alert = entry.alert
    return {
        "id": alert.id,
        "pipeline": entry.pipeline,
        "cause": alert.cause,
        "severity": alert.severity,
        "title": alert.title,
        "text": alert.text,
        "state": entry.state,
        "written_at": entry.written_at,
        "told_at": entry.told_at or None,
        "tries": entry.tries,
        "problem": entry.problem or None,
    }


def _alerts_table(rows: list[dict[str, Any]]) -> "Table":
    made = table("Alerts", "written", "state", "severity", "what")
    for row in rows:
        lacking = f" ({row['problem']})" if row["problem"] else ""
        made.add_row(
            _moment(row["written_at"]), row["state"], row["severity"], f"{row['title']}{lacking}"
        )
    return made


def _test(home: "Home", *, as_json: bool) -> None:
    """Send a test message to every address.

    Raises
    ------
    InvalidInputError
        If there is no address.
    ServiceError
        If one did not take it.

    """
    from flows.running import wall_clock
    from flows.steps.alerting import send_test

    if not home.alerts:
        raise InvalidInputError(
            "there is no address to send a test to; name one in driftwheel.toml: [alerts], "
            'urls = ["${SLACK_URL}"], or in DRIFTWHEEL_ALERTS_URLS'
        )
    with working("alerts test"):
        results = send_test(home, clock=wall_clock)
    failed = [why for _, why in results if why]
    if as_json:
        rows = [{"channel": channel.name, "problem": why or None} for channel, why in results]
        print_json({"test": rows})
        raise typer.Exit(int(bool(failed)))
    for channel, why in results:
        console().print(why or f"{channel.name} took it", markup=False)
    if failed:
        raise ServiceError(f"{len(failed)} of {len(results)} addresses did not take the test")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _moment(time: str) -> str:
    """Write an ISO time without its midnight."""
    return time[:16].replace("T", " ").removesuffix(" 00:00")
