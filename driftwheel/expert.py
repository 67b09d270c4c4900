"""What one reaches for now and then: doctor, deploy, and what a person decides."""

from typing import Annotated

import typer

from components.errors import ServiceError
from driftwheel.app import settings_of
from driftwheel.onestep import AsOf, Json, Name
from driftwheel.output import console, hang, print_json, say, table, working
from flows.deployments import WORK_POOL
from flows.settings import hide_password

PANEL = "Expert"

Reason = Annotated[str, typer.Option("--reason", help="Why; recorded with who.")]


def register(app: typer.Typer) -> None:
    """Hang these commands into the app."""
    for command in (doctor, deploy, rollback, promote):
        app.command(rich_help_panel=PANEL)(command)


def doctor(
    context: typer.Context,
    mend: Annotated[bool, typer.Option("--mend", help="Mend what can be mended here.")] = False,
    json: Json = False,
) -> None:
    """Say what is wrong, and the command that mends it."""
    from driftwheel.doctor import examine

    with working("examining"):
        findings = examine(settings_of(context), mend=mend)
    if json:
        print_json(findings)
    else:
        shown, widest = console(), max(len(one.check) for one in findings)
        for one in findings:
            head = f"{'ok' if one.ok else '!!'}  {one.check:<{widest}}  "
            hang(shown, head, one.found, style="" if one.ok else "bold red")
            if one.mend:
                hang(shown, " " * len(head), f"mend: {one.mend}")
    if not all(one.ok for one in findings):
        raise typer.Exit(1)


def deploy(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Pipelines; default: all.")] = None,
    pool: Annotated[str, typer.Option(help="The work pool that plain workers poll.")] = WORK_POOL,
    json: Json = False,
) -> None:
    """Register deployments, schedules and the automation with the Prefect server named."""
    from flows.deploying import deploy as register_with
    from flows.opening import open_home
    from flows.servers import live_api
    from flows.talking import talking_to

    settings = settings_of(context)
    home = open_home(settings)
    specs = [home.pipeline(name) for name in names or home.pipelines()]
    api = live_api(settings)
    if not api:
        raise ServiceError(
            "no Prefect server answers: name one with DRIFTWHEEL_PREFECT_API_URL or "
            "prefect_api_url in driftwheel.toml, or start one with `driftwheel up`"
        )
    with talking_to(api, settings), working("deploying"):
        done = register_with(settings, specs, owner=home.ledger.ledger_id, pool=pool)
    server = hide_password(api)
    if json:
        print_json({"server": server, "deployments": done})
    else:
        shown = table(f"Registered with {server}", "deployment", "schedule")
        for one in done:
            shown.add_row(one["name"], one["schedule"] or "-")
        console().print(shown, markup=False)
        say(f"Now run on any machine with this code: prefect worker start --pool {pool}")


def rollback(
    context: typer.Context,
    name: Name,
    reason: Reason,
    epoch: Annotated[
        int | None,
        typer.Option(help="Take back this epoch; default: the present one.", show_default=False),
    ] = None,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Put the previous version back in charge."""
    from driftwheel.stepping import run_rollback

    done = run_rollback(settings_of(context), name, reason, as_of, epoch=epoch)
    if json:
        print_json(done)
    else:
        version = done["served_version"]
        hang(console(), "", f"{name}: {done['what']}, version {version} answers: {done['why']}")


def promote(
    context: typer.Context,
    name: Name,
    reason: Reason,
    version: Annotated[
        str | None, typer.Option(help="The version to put in charge.", show_default=False)
    ] = None,
    revert: Annotated[
        bool, typer.Option("--revert", help="Set MLflow's aliases back to what the ledger says.")
    ] = False,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Put a version in charge by hand, or settle an alias that was moved by hand."""
    from driftwheel.stepping import promote_version, revert_aliases

    if (version is None) == (not revert):
        raise typer.BadParameter("give either --version N or --revert")
    settings = settings_of(context)
    if version is None:
        done = revert_aliases(settings, name, reason)
        back = "; ".join(done["reverted"])
        words = f"{name}: {back or 'no alias was moved by hand'}{': set back' if back else ''}"
    else:
        done = promote_version(settings, name, version, reason, as_of)
        words = f"{name}: version {version} is in charge: {done['why']}"
        if done["what"] != "promoted":
            again = "say it again to promote it all the same"
            words = f"{name}: nobody was promoted ({done['what']}): {done['why']}; {again}"
    if json:
        print_json(done)
    else:
        hang(console(), "", words)
