"""What was asked of `init`, as a pipeline in the making: where data, labels and sink are."""

import os.path
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from components.errors import InvalidInputError, PipelineFileError
from components.looking import Roles
from components.pipelines import Pipeline, nearest, parse_duration
from driftwheel.addresses import Address, is_address, read_address, split_table, without_login

if TYPE_CHECKING:
    from flows.settings import Settings

_NAME = re.compile(r"^[a-z][a-z0-9_-]{0,62}$")
_SQLITE = b"SQLite format 3\0"
_PYTHON = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for on the command line."""

    name: str
    data: str
    time: str
    target: str
    id: str | None = None
    entity: str | None = None
    task: str | None = None
    label_delay: str | None = None
    label_time: str | None = None
    labels: str | None = None
    labels_id: str | None = None
    labels_time: str | None = None
    updated: str | None = None
    query: str | None = None
    table: str | None = None
    labels_query: str | None = None
    labels_table: str | None = None
    exclude: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    sink: str | None = None
    dates: str | None = None
    force: bool = False

    @property
    def roles(self) -> Roles:
        """The columns that serve as more than a feature."""
        return Roles(
            time=self.time, target=self.target, id=self.id, entity=self.entity,
            updated=self.updated, label_time=self.label_time,
        )  # fmt: skip


@dataclass(slots=True)
class Draft:
    """A pipeline in the making: where things are, before anything was looked at."""

    asked: Asked
    fields: dict[str, Any]
    file: Path
    addresses: dict[str, Address] = field(default_factory=dict)

    def pipeline(self, **more: Any) -> Pipeline:
        """Try the fields as a pipeline."""
        given = {**self.fields, **more}
        places = {name: one.url for name, one in self.addresses.items()}
        try:
            made = Pipeline.model_validate({**given, "name": self.asked.name, "file": self.file})
        except ValidationError as problem:
            words = "; ".join(str(e["msg"]).removeprefix("Value error, ") for e in problem.errors())
            raise PipelineFileError(f"these options make no pipeline: {words}") from problem
        return made.model_copy(update={"places": places})


def check_words(asked: Asked, file: Path) -> None:
    """See that the options can stand together, before anything is read.

    Raises
    ------
    InvalidInputError
        If a name is none, the file exists, or labels are said to be known in two ways.

    """
    if not _NAME.match(asked.name):
        raise InvalidInputError(
            "NAME must begin with a lower-case letter and hold only lower-case letters, digits, "
            f"'-' or '_', at most 63. Got {asked.name!r}"
        )
    if file.exists() and not asked.force:
        raise InvalidInputError(
            f"{file} exists; choose another name, or say --force to write it anew"
        )
    taken = [f"--{option.replace('_', '-')}" for option, column in asked.roles.named.items()
             if option != "target" and column == asked.target]  # fmt: skip
    if taken:
        raise InvalidInputError(
            f"--target {asked.target} is what {' and '.join(taken)} names too; what is to be "
            "predicted cannot be known beforehand"
        )
    ways = {"--label-delay": asked.label_delay, "--label-time": asked.label_time,
            "--labels": asked.labels}  # fmt: skip
    given = [option for option, value in ways.items() if value is not None]
    if len(given) > 1:
        raise InvalidInputError(f"give one of {', '.join(ways)}. Got {' and '.join(given)}")
    beside = {"--labels-id": asked.labels_id, "--labels-time": asked.labels_time}
    missing = [option for option, value in beside.items() if value is None]
    if asked.labels is not None and (missing or asked.id is None):
        missing += [] if asked.id else ["--id (the column of the data that names a record)"]
        raise InvalidInputError(f"--labels also needs {' and '.join(missing)}")
    if asked.labels is None and len(missing) < len(beside):
        raise InvalidInputError("--labels-id and --labels-time stand beside --labels only")
    if asked.label_delay is not None:
        try:
            parse_duration(asked.label_delay)
        except ValueError as problem:
            raise InvalidInputError(f"--label-delay {problem}") from problem


def draft_of(asked: Asked, settings: "Settings", file: Path) -> Draft:
    """Say where data, labels and sink are, in the words of the pipeline file."""
    stem = asked.name.upper().replace("-", "_")
    draft = Draft(asked, {}, file)

    def placed(text: str, name: str, option: str) -> str:
        one = read_address(text, name, settings, option)
        same = next((a for a in draft.addresses.values() if a.url == one.url), one)
        draft.addresses[same.name] = same
        return same.placed

    def place(
        text: str, name: str, option: str, query: str | None, table: str | None
    ) -> dict[str, Any]:
        if is_address(text):
            _one_of(query, table, option)
            asked_for = {"query": query} if query is not None else {"table": table}
            return {"url": placed(text, name, option), **asked_for}
        if query is not None or table is not None:
            raise InvalidInputError(
                f"a query or table needs an address in {option}. Got {without_login(text)!r}"
            )
        return _file_or_function(text, file, settings.home, option)

    draft.fields["source"] = place(asked.data, f"{stem}_URL", "--data", asked.query, asked.table)
    draft.fields |= {"time": asked.time, "target": asked.target}
    for role in ("id", "entity", "updated", "label_delay", "label_time"):
        if getattr(asked, role) is not None:
            draft.fields[role] = getattr(asked, role)
    if asked.labels is not None:
        where = place(
            asked.labels, f"{stem}_LABELS_URL", "--labels", asked.labels_query, asked.labels_table
        )
        draft.fields["labels"] = {**where, "id": asked.labels_id, "time": asked.labels_time}
    if asked.sink is not None:
        url, table = split_table(asked.sink)
        sink = {"url": placed(url, f"{stem}_SINK_URL", "--sink")}
        draft.fields["sink"] = {**sink, "table": table or "predictions"}
    return draft


def _one_of(query: str | None, table: str | None, option: str) -> None:
    if (query is None) == (table is None):
        labels = "labels-" if option == "--labels" else ""
        raise InvalidInputError(
            f'{option} names a database: say what to read with --{labels}query "select …" or '
            f"--{labels}table NAME, one of them"
        )


def _file_or_function(text: str, file: Path, home: Path, option: str) -> dict[str, Any]:
    if without_login(text) != text and not Path(text).exists():
        raise InvalidInputError(
            f"{option} is neither a file nor an address: an address begins with postgresql:// or "
            f"sqlite:///. Got {without_login(text)!r}"
        )
    path = Path(text).expanduser()
    if not path.exists():
        if _PYTHON.match(text):
            return {"python": text}
        here = path.parent
        beside = [one.name for one in here.iterdir()] if here.is_dir() else []
        raise InvalidInputError(
            f"{option}: {path.absolute()} does not exist{nearest(path.name, beside) or '.'} It "
            "must be a file, a folder, a Delta table, postgresql://…, sqlite:///FILE or "
            "module:function"
        )
    path = path.resolve()
    if _is_sqlite(path):
        raise InvalidInputError(
            f"{option}: {path} is a SQLite database; give it as sqlite:///{path}, with "
            f"{'--labels-table' if option == '--labels' else '--table'} NAME or a query"
        )
    inside = path.is_relative_to(home)
    return {"path": os.path.relpath(path, file.parent) if inside else str(path)}


def _is_sqlite(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def knows_label_time(asked: Asked) -> bool:
    """Say whether it was said when a label is known."""
    return (asked.label_delay or asked.label_time or asked.labels) is not None
