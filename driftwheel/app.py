"""The command line, put together: one module a panel, imports only what a command needs."""

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from components.errors import DriftwheelError
from driftwheel import __version__
from driftwheel.output import print_json, say

if TYPE_CHECKING:
    from flows.settings import Settings

_INTERRUPTED = 130  # what a shell calls a program that Ctrl-C has ended


@dataclass(slots=True)
class Asked:
    """What was asked for before the command."""

    home: Path | None = None
    debug: bool = False


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
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of a command that fails.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback has answered
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Keep a model in production right while the world changes."""
    asked = context.ensure_object(Asked)
    asked.home, asked.debug = home, debug


def run(arguments: list[str]) -> int:
    """Run one command; give its exit code: 0 done, 1 failed, 2 wrong use or invalid input."""
    from driftwheel import asking, everyday, expert, keeping, onestep, setting_up, trusting

    for panel in (setting_up, everyday, asking, onestep, trusting, expert, keeping):
        panel.register(app)
    asked = Asked()
    try:
        app(arguments, prog_name="driftwheel", obj=asked)
    except SystemExit as end:  # Typer has said what was wrong, if anything was
        if end.code == _INTERRUPTED:
            say("stopped")
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if (wrong := _wrong_use(end)) and "--json" in arguments:
            print_json({"error": wrong, "kind": "UsageError", "exit_code": code})
        return code
    except Exception as problem:  # noqa: BLE001 - the last door: a person reads what comes out
        if asked.debug:
            traceback.print_exception(problem)
        return _tell_failure(problem, as_json="--json" in arguments)
    return 0


def _wrong_use(end: SystemExit) -> str:
    """Say what Typer had to say about the command line; empty when it ended otherwise."""
    said = getattr(end.__context__, "format_message", None)
    return str(said()) if said is not None else ""


def _tell_failure(problem: Exception, *, as_json: bool) -> int:
    """Say what went wrong, with --json as the one document too; give the exit code."""
    said = _in_words(problem)
    code = problem.exit_code if isinstance(problem, DriftwheelError) else 1
    say(said)
    if as_json:
        print_json({"error": said, "kind": type(problem).__name__, "exit_code": code})
    return code


def _in_words(problem: Exception) -> str:
    """Say what went wrong; only what nobody has foreseen is called a bug."""
    from flows.settings import hide_password

    if isinstance(problem, DriftwheelError):
        return str(problem)
    if isinstance(problem, OSError):
        return f"the machine refused: {problem}; `driftwheel doctor` says what to mend"
    said = hide_password(" ".join(str(problem).split()))
    return (
        f"something went wrong that nobody foresaw: {said} ({type(problem).__name__}); this is a "
        "bug in Driftwheel or an unforeseen state: `driftwheel --debug …` shows where, "
        "`driftwheel doctor` looks at the home"
    )


def settings_of(context: typer.Context) -> "Settings":
    """Read the settings of the home that the command line names."""
    from flows.settings import load_settings, silence_telemetry

    silence_telemetry()
    return load_settings(context.ensure_object(Asked).home)
