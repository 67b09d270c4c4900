"""The command line, put together: one module a panel, imports only what a command needs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from components.errors import DriftwheelError
from driftwheel import __version__
from driftwheel.output import say

if TYPE_CHECKING:
    from flows.settings import Settings

_INTERRUPTED = 130  # what a shell calls a program that Ctrl-C has ended

app = typer.Typer(
    name="driftwheel",
    help="Keep a model in production right while the world changes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"driftwheel {__version__}")
        raise typer.Exit


@app.callback()
def start(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(
            help="The folder that holds pipelines, lake, ledger and runs. Default: "
            "$DRIFTWHEEL_HOME, else the nearest folder upwards with a driftwheel.toml, "
            "else the clone.",
            show_default=False,
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback has answered
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Keep a model in production right while the world changes."""
    context.obj = home


def run(arguments: list[str]) -> int:
    """Run one command; give its exit code: 0 done, 1 failed, 2 wrong use or invalid input."""
    from driftwheel import everyday, expert, onestep

    for panel in (everyday, onestep, expert):
        panel.register(app)
    try:
        app(arguments, prog_name="driftwheel")
    except SystemExit as end:  # Typer has said what was wrong, if anything was
        if end.code == _INTERRUPTED:
            say("stopped")
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except DriftwheelError as problem:
        say(f"{type(problem).__name__}: {problem}")
        return problem.exit_code
    except Exception as problem:
        if "--debug" in arguments:
            raise
        if not isinstance(problem, OSError):
            say(
                f"{type(problem).__name__}: {problem}\nDriftwheel did not foresee this; the same "
                "command after `driftwheel --debug` shows where it happened"
            )
            return 1
        say(f"the machine refused: {problem}; `driftwheel doctor` says what to mend")
        return 1
    return 0


def settings_of(context: typer.Context) -> "Settings":
    """Read the settings of the home that the command line names."""
    from flows.settings import load_settings, silence_telemetry

    silence_telemetry()
    return load_settings(context.obj)
