"""What one uses every day: demo, up, status, history, backtest."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from driftwheel.app import settings_of
from driftwheel.onestep import Json, Name
from driftwheel.output import console, print_json, say

PANEL = "Everyday"
_DATE = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]


def register(app: typer.Typer) -> None:
    """Hang these commands into the app."""
    for command in (demo, up, status, history, backtest):
        app.command(rich_help_panel=PANEL)(command)


def demo(
    context: typer.Context,
    steps: Annotated[
        int, typer.Option(min=1, max=25, help="How many steps of simulated time to run.")
    ] = 20,
    json: Json = False,
) -> None:
    """Tell the whole story on shipped real data, in simulated time."""
    from driftwheel.demo import run_demo

    done = run_demo(settings_of(context), steps=steps, as_json=json)
    if json:
        print_json(done)


def up(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Pipelines; default: all.")] = None,
    prefect_port: Annotated[
        int, typer.Option(help="Port of the Prefect server; 0: any free one.")
    ] = 0,
    mlflow_port: Annotated[int, typer.Option(help="Port of the MLflow UI; 0: any free one.")] = 0,
    json: Json = False,
) -> None:
    """Start the Prefect server, the MLflow UI and the served deployments; Ctrl-C stops all."""
    from driftwheel.upping import run_up

    run_up(
        settings_of(context),
        names or [],
        prefect_port=prefect_port,
        mlflow_port=mlflow_port,
        as_json=json,
    )


def status(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="One pipeline; default: all.")] = None,
    json: Json = False,
) -> None:
    """Say who is champion, since when, how it does, what is pending; worst first."""
    from driftwheel.reading import print_status
    from driftwheel.reading import status as read

    rows = read(settings_of(context), name)
    if json:
        print_json(rows[0] if name is not None else {"pipelines": rows})
        return
    print_status(console(), rows)
    for row in rows:
        for moved in row.get("moved_by_hand", []):
            say(
                f"{row['pipeline']}: {moved}; settle it with `driftwheel promote "
                f"{row['pipeline']} --version N --reason …` or `--revert --reason …`"
            )


def history(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="One pipeline; default: all.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also verdicts to hold.")] = False,
    json: Json = False,
) -> None:
    """List every decision: what, when, who and why."""
    from driftwheel.reading import history as read
    from driftwheel.reading import print_history

    rows = read(settings_of(context), name)
    if json:
        print_json({"decisions": rows})
    elif rows:
        print_history(console(), rows, every=every)
    else:
        say("nothing was decided yet; `driftwheel train NAME` takes the first decision")


def backtest(
    context: typer.Context,
    name: Name,
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", help="never, periodic:7d, periodic:7d+gate, drift, default."),
    ] = None,
    start: Annotated[
        datetime | None, typer.Option("--from", formats=_DATE, help="The first training.")
    ] = None,
    end: Annotated[
        datetime | None, typer.Option("--to", formats=_DATE, help="The last event.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Where the picture goes. Default: HOME/reports/backtest-NAME.png."),
    ] = None,
    json: Json = False,
) -> None:
    """Compare policies on history, in virtual time."""
    from driftwheel.backtesting import backtest as compare
    from driftwheel.backtesting import draw
    from driftwheel.comparing import print_backtest
    from driftwheel.output import measured
    from flows.opening import open_home
    from flows.running import moment

    settings = settings_of(context)
    with measured(f"backtest {name}") as told:
        result = compare(
            open_home(settings).pipeline(name),
            policy or (),
            start=None if start is None else moment(start),
            end=None if end is None else moment(end),
            told=told,
        )
    picture = draw(result, plot or settings.home / "reports" / f"backtest-{name}.png")
    if json:
        print_json(result.document)
    else:
        print_backtest(console(), result.document)
    say(f"Error over time: {picture}", quietly=True)
