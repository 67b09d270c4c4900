"""`init`: look at somebody's tables, and put them under care."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from components.checks import LABEL_KNOWN, check_rows
from components.errors import PipelineFileError, SourceError
from components.looking import Look, epoch_unit, look
from components.pipelines import Pipeline, read_pipeline, write_duration
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, RECORD_ID, carried
from driftwheel.addresses import Address, is_address, with_urls
from driftwheel.drafting import Asked, Draft, check_words, draft_of, knows_label_time
from driftwheel.gathering import (
    check_times,
    find_truth,
    name_rows,
    passed_over,
    same_ids,
    say_the_ways,
    survey_source,
)
from driftwheel.habits import find_habits

if TYPE_CHECKING:
    from flows.settings import Settings


@dataclass(frozen=True, slots=True)
class Found:
    """What `init` came to: a pipeline that has been tried, and what a person should know.

    Attributes
    ----------
    fields : dict
        What the pipeline file says, in its own words.
    addresses : tuple of Address
        What the file names as ``${NAME}``.

    """

    asked: Asked
    fields: dict[str, Any]
    pipeline: Pipeline
    look: Look
    assumed: tuple[str, ...]
    noticed: tuple[str, ...]
    addresses: tuple[Address, ...]


def initialise(
    asked: Asked,
    settings: "Settings",
    *,
    now: pd.Timestamp,
    told: Callable[[str], None] = lambda _: None,
) -> Found:
    """Look at the data and find everything that the pipeline file has to say.

    Nothing is written; see :func:`write`.

    Raises
    ------
    InvalidInputError
        If the options cannot be: an unknown file or column, no way to know the label's time,
        a target that never varies, times that cannot be read.
    StoreUnreachableError
        If a database does not answer.

    """
    file = settings.home / "pipelines" / f"{asked.name}.yaml"
    check_words(asked, file)
    draft = draft_of(asked, settings, file)
    told(
        f"looking at {asked.data if not is_address(asked.data) else draft.fields['source']['url']}"
    )
    assumed = find_habits(asked, draft)
    if not knows_label_time(asked):
        say_the_ways(asked, draft)
    roles = asked.roles if asked.labels is None else replace(asked.roles, target=None)
    found, shown = survey_source(asked, draft, roles)
    check_times(found, asked, shown)
    named = name_rows(asked, found, shown)
    assumed, noticed = [*assumed, *named.assumed], list(named.noticed)
    if named.id is not None and named.id != asked.id:
        draft.fields["id"] = named.id
        roles = replace(roles, id=named.id)
        if not found.whole:  # it was unique in the sample: see whether it is everywhere
            found, _ = survey_source(asked, draft, roles)
    noticed += [*same_ids(found, named.id), *passed_over(draft.pipeline())]
    truth = find_truth(asked, draft, found, roles)
    roles = replace(roles, target=asked.target)
    seen = look(
        found, roles, truth, task=asked.task, exclude=asked.exclude, keep=asked.keep, now=now,
        told=told,
    )  # fmt: skip
    if seen.target.problem:
        raise SourceError(f"{shown}: {seen.target.problem}")
    _check_some_left(seen, shown)
    fields = {**draft.fields, **_learnt(seen)}
    draft.fields = fields
    told("trying history features")
    pipeline, history = _with_history(draft, seen)
    if history:
        fields["history"] = history
    noticed += [*seen.noticed, *_set_aside(seen, pipeline)]
    assumed += _assumed(asked, seen)
    return Found(
        asked, fields, pipeline, seen, tuple(assumed), tuple(dict.fromkeys(noticed)),
        tuple(draft.addresses.values()),
    )  # fmt: skip


def write(found: Found, text: str, settings: "Settings") -> list[Path]:
    """Write the pipeline file, and the addresses that it names; then read it back.

    Raises
    ------
    PipelineFileError
        If what was written does not read as what was meant; it is taken away again.

    """
    file = found.pipeline.file
    known = {one.name: one.open for one in found.addresses if not one.given}
    urls = {name: url for name, url in known.items() if settings.urls.get(name) != url}
    config = settings.home / "driftwheel.toml"
    lines = with_urls(config, urls, force=found.asked.force) if urls else ""
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = file.read_bytes() if file.is_file() else None
    _replace(file, text.encode("utf-8"))
    try:
        _see_that_it_reads(file, found.pipeline)
    except PipelineFileError:
        if kept is None:
            file.unlink()
        else:
            _replace(file, kept)
        raise
    if urls:
        _replace(config, lines.encode("utf-8"))
    return [file, config] if urls else [file]


def _see_that_it_reads(file: Path, meant: Pipeline) -> None:
    again = read_pipeline(file, meant.places.get)
    if again.model_dump() != meant.model_dump():
        raise PipelineFileError(
            f"{file}: what was written reads otherwise than it was meant; this is a bug in "
            "Driftwheel: some name or text of your data could not be written"
        )


def _replace(file: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it."""
    beside = file.with_name(f".{file.name}.new")
    beside.write_bytes(content)
    beside.replace(file)


def _check_some_left(seen: Look, shown: str) -> None:
    if seen.features:
        return
    why = "; ".join(f"{one.column}: {one.reason}" for one in seen.left_out[:8])
    raise SourceError(
        f"{shown} leaves no column to learn from besides time and target "
        f"({why or 'it has no other'}). Join more columns to it, or keep one with --keep COL"
    )


def _learnt(seen: Look) -> dict[str, Any]:
    """Say what follows from the data, in the words of the pipeline file."""
    choices = seen.choices
    columns = {}
    for one in seen.features:
        column: dict[str, Any] = {"kind": one.kind}
        if one.bounds.low is not None:
            column["min"] = one.bounds.low
        if one.bounds.high is not None:
            column["max"] = one.bounds.high
        if not one.may_be_null:
            column["nulls"] = False
        columns[one.name] = column
    least, most = choices.holdout
    width, rows = choices.monitor
    fields: dict[str, Any] = {"task": seen.target.task, "columns": columns}
    left = [one.column for one in seen.left_out]
    if left:
        fields["exclude"] = list(dict.fromkeys(left))
    fields["candidates"] = ["linear"] if choices.short else ["linear", "lightgbm"]
    fields["windows"] = list(choices.windows)
    fields["naive"] = list(choices.naive)
    fields["season"] = write_duration(choices.season)
    if choices.first_train is not None:
        moment = choices.first_train.tz_localize(None)
        whole = moment == moment.normalize()
        fields["first_train"] = moment.date() if whole else moment.to_pydatetime()
    fields["holdout"] = {"least_rows": least, "most": write_duration(most)}
    fields["gate"] = {"margin": 0.01, "level": 0.05, "block": write_duration(choices.block)}
    fields["monitor"] = {"window": write_duration(width), "least_rows": rows}
    fields["policy"] = {"kind": "drift", "share": 0.3, "needed": 2, "of": 3, "cooldown": "14d"}
    fields["schedule"] = dict(choices.schedule)
    return fields


def _with_history(draft: Draft, seen: Look) -> tuple[Pipeline, list[dict[str, Any]]]:
    """Propose history features, tried on the sample; none where they would not help."""
    from components.history.proposing import propose

    pipeline = draft.pipeline()
    checked = _tried(seen, pipeline)
    if checked is None:
        return pipeline, []
    records, labels = checked
    proposed = [
        one.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        for one in propose(records, labels, pipeline)
    ]
    if not proposed:
        return pipeline, []
    proposed = [_shortened(one) for one in proposed]
    return draft.pipeline(history=proposed), proposed


def _shortened(given: dict[str, Any]) -> dict[str, Any]:
    """Write ``{take: mean, of: label}`` as ``{mean: label}``, which reads the same."""
    rest = {key: value for key, value in given.items() if key not in {"take", "of"}}
    made: dict[str, Any] = {str(given["take"]): given.get("of", "label"), **rest}
    by = made.get("by")
    if isinstance(by, (list, tuple)):
        made["by"] = list(by) if len(by) > 1 else by[0]
    return made


def _beside(seen: Look, pipeline: Pipeline) -> tuple[pd.DataFrame, Pipeline]:
    """Give sample and pipeline such that labels stand beside their rows, with their times."""
    if pipeline.labels is None:
        return seen.survey.sample, pipeline
    target, known = pipeline.target, "_dw_label_known"
    raw = seen.survey.sample.drop(columns=[target], errors="ignore")
    raw = raw.assign(**{target: seen.labels["label"], known: seen.labels["known_time"]})
    return raw, pipeline.model_copy(update={"labels": None, "label_time": known})


def _tried(seen: Look, pipeline: Pipeline) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Check the sample as the loop would; give records and labels, None where nothing passes."""
    raw, beside = _beside(seen, pipeline)
    good = check_rows(raw, beside).good
    if good.empty:
        return None
    good = good.drop_duplicates(RECORD_ID, keep="last")
    records = good[[RECORD_ID, EVENT_TIME, KNOWN_TIME, *carried(pipeline)]]
    labels = good.loc[good[LABEL].notna(), [RECORD_ID, EVENT_TIME, LABEL_KNOWN, LABEL]]
    return records, labels.rename(columns={LABEL_KNOWN: KNOWN_TIME})


def _set_aside(seen: Look, pipeline: Pipeline) -> list[str]:
    """Check the sample as the loop would, and say what would go to quarantine."""
    raw, beside = _beside(seen, pipeline)
    lines = check_rows(raw, beside).quarantine
    if lines.empty:
        return []
    counts = lines.groupby(["column", "rule"], sort=False).size().sort_values(ascending=False)
    named = "; ".join(
        f"{column} {rule} ({count}, such as {_example(lines, column, rule)})"
        for (column, rule), count in zip(counts.index[:4].tolist(), counts.iloc[:4], strict=True)
    )
    return [f"{len(lines)} checks failed in {len(raw)} rows, which would be set aside: {named}"]


def _example(lines: pd.DataFrame, column: str, rule: str) -> str:
    value = lines.loc[(lines["column"] == column) & (lines["rule"] == rule), "value"].iloc[0]
    return repr(value) if isinstance(value, str) else "nothing"


def _assumed(asked: Asked, seen: Look) -> list[str]:
    """Say what was taken for granted because nobody said otherwise."""
    found = []
    moments = seen.survey.moments[asked.time]
    unit = epoch_unit(seen.survey.sample[asked.time])
    if unit:
        found.append(f"{asked.time} counts {unit} since 1970, as its size says")
    elif not moments.zoned:
        found.append(f"{asked.time} is UTC: its times name no zone")
    if asked.task is None:
        found.append(f"the task is {seen.target.task} (--task says otherwise)")
    if asked.label_delay is not None:
        found.append(f"every label is known {asked.label_delay} after its event, as you say")
    if asked.updated is None:
        found.append("a row is known at its own time (--updated COL, where rows change later)")
        if is_address(asked.data):
            found.append("each ingest reads all that is asked for: nothing says what has changed")
    return found
