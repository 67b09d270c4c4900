"""`init`: put somebody's tables under care."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from driftwheel.app import settings_of
from driftwheel.output import console, print_json, say, working

if TYPE_CHECKING:
    from driftwheel.initialising import Found

PANEL = "Everyday"
_MOST_SHOWN = 12


class Task(StrEnum):
    """What kind of answer a pipeline gives."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class Dates(StrEnum):
    """Which number of a day such as 3/2/2024 comes first."""

    DAY = "day-first"
    MONTH = "month-first"


def register(app: typer.Typer) -> None:
    """Hang these commands into the app."""
    app.command(rich_help_panel=PANEL)(init)


_Text = str | None


def init(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The pipeline's name: lower case, digits, - and _.")],
    data: Annotated[
        str,
        typer.Option(
            metavar="PATH|URL",
            help="CSV (also gzip, zip), Parquet, a folder of either, a Delta table, "
            "postgresql://…, sqlite:///FILE, '${NAME}' of an address, or module:function in "
            "HOME/code.",
        ),
    ],
    time: Annotated[str, typer.Option(metavar="COL", help="When it happened.")],
    target: Annotated[str, typer.Option(metavar="COL", help="What is to be predicted.")],
    id_: Annotated[
        _Text, typer.Option("--id", metavar="COL", help="Names a row. Default: its time.")
    ] = None,
    entity: Annotated[_Text, typer.Option(metavar="COL", help="Whom a row is about.")] = None,
    task: Annotated[Task | None, typer.Option(help="Default: told from the target.")] = None,
    label_delay: Annotated[
        _Text,
        typer.Option(metavar="SPAN", help="Labels are known so long after the event: 1h, 1d."),
    ] = None,
    label_time: Annotated[
        _Text, typer.Option(metavar="COL", help="The column that says when the label was known.")
    ] = None,
    labels: Annotated[
        _Text, typer.Option(metavar="PATH|URL", help="The truth, in a table of its own.")
    ] = None,
    labels_id: Annotated[
        _Text, typer.Option(metavar="COL", help="Names the row, in there.")
    ] = None,
    labels_time: Annotated[
        _Text, typer.Option(metavar="COL", help="When the label was known, in there.")
    ] = None,
    updated: Annotated[
        _Text, typer.Option(metavar="COL", help="When a row was last changed in place.")
    ] = None,
    query: Annotated[_Text, typer.Option(metavar="SQL", help="What to read from --data.")] = None,
    table: Annotated[_Text, typer.Option(help="The table of --data, instead of a query.")] = None,
    labels_query: Annotated[
        _Text, typer.Option(metavar="SQL", help="What to read from --labels.")
    ] = None,
    labels_table: Annotated[
        _Text, typer.Option(help="The table of --labels, instead of a query.")
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="COL", help="Never learn from this column; as often as needed."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="COL", help="Learn from this column though it tells the target."),
    ] = None,
    sink: Annotated[
        _Text,
        typer.Option(metavar="URL[#TABLE]", help="Write predictions there too, into this table."),
    ] = None,
    dates: Annotated[
        Dates | None, typer.Option(help="Of days such as 3/2/2024. Default: told from them.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write one JSON document only.")] = False,
) -> None:
    """Look at your data, and write a commented pipelines/NAME.yaml that runs as it stands."""
    import pandas as pd

    from driftwheel.drafting import Asked
    from driftwheel.explaining import document, next_commands, pipeline_text
    from driftwheel.initialising import initialise, write
    from flows.running import wall_clock

    settings = settings_of(context)
    asked = Asked(
        name=name, data=data, time=time, target=target, id=id_, entity=entity,
        task=None if task is None else task.value, label_delay=label_delay, label_time=label_time,
        labels=labels, labels_id=labels_id, labels_time=labels_time, updated=updated, query=query,
        table=table, labels_query=labels_query, labels_table=labels_table,
        exclude=tuple(exclude or ()), keep=tuple(keep or ()), sink=sink,
        dates=None if dates is None else dates.value, force=force,
    )  # fmt: skip
    now = pd.Timestamp(wall_clock())
    with working(f"looking at {name}") as told:
        found = initialise(asked, settings, now=now, told=told)
    files = write(found, pipeline_text(found, today=f"{now:%Y-%m-%d}"), settings)
    given = context.find_root().params.get("home")
    following = next_commands(found, now=now, home=str(given or ""))
    _say_secrets(found)
    if json:
        print_json(document(found, [str(file) for file in files], following))
    else:
        _print(found, [str(file) for file in files], following)


def _say_secrets(found: "Found") -> None:
    """Say how a password reaches the pipeline, which no file holds."""
    from driftwheel.addresses import masked

    for one in found.addresses:
        if one.secret:
            say(
                f"The password was not written anywhere. Before the other commands: "
                f"export {one.name}='{masked(one)}' (with the password), or keep it in ~/.pgpass"
            )


def _print(found: "Found", files: list[str], following: list[str]) -> None:
    """Tell a person what was assumed, noticed and left out, and how to go on."""
    seen, out = found.look, console()

    def tell(words: str) -> None:
        out.print(words, markup=False, soft_wrap=True)

    tell(
        f"{found.asked.name}: {seen.target.task} of {found.asked.target}, {seen.survey.rows} rows "
        f"({seen.pace.rhythm.words}) from {seen.pace.start:%Y-%m-%d} to {seen.pace.end:%Y-%m-%d}, "
        f"{len(seen.features)} columns to learn from"
        + (f", {len(found.pipeline.history)} made of history" if found.pipeline.history else "")
    )
    left = [f"{one.column}: {one.reason}" for one in seen.left_out]
    for title, lines in (
        ("Assumed", found.assumed),
        ("Noticed", found.noticed),
        ("Left out", left),
    ):
        if lines:
            tell(f"\n{title}")
        for line in lines[:_MOST_SHOWN]:
            tell(f"  - {line}")
        if len(lines) > _MOST_SHOWN:
            tell(f"  … and {len(lines) - _MOST_SHOWN} more; the file has them all")
    tell(f"\nWritten: {' and '.join(files)}\n\nNext")
    for command in following:
        tell(f"  {command}")
