"""The pipeline file that `init` writes: every value with what was found and why it stands there."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from components.looking import Look, Seen, span_in_words
from components.pipelines import write_duration
from driftwheel.initialising import Found
from driftwheel.writing import Page

if TYPE_CHECKING:
    import pandas as pd

_WHAT = {
    "regression": "a number",
    "binary": "one of two classes",
    "multiclass": "one of several classes",
}
_CADENCE = {
    "5 * * * *": "every hour, five minutes past",
    "10 * * * *": "then answer what is new",
    "40 0 * * *": "every night",
    "5 0 * * *": "every night, when the day's rows are there",
    "20 0 * * *": "then answer what is new",
    "5 0 * * 1": "every Monday",
    "20 0 * * 1": "then answer what is new",
    "40 0 * * 1": "every Monday",
}
_HISTORY = {
    "last": "the newest value known",
    "mean": "the mean of what was known",
    "count": "how many were known",
    "trend": "the slope a day",
}


def pipeline_text(found: Found, *, today: str) -> str:
    """Write the pipeline file.

    Parameters
    ----------
    today : str
        The date for the first line.

    """
    page = Page()
    _head(page, found, today)
    _data(page, found)
    _columns(page, found)
    _model(page, found)
    _judging(page, found)
    _running(page, found)
    return page.text


def _head(page: Page, found: Found, today: str) -> None:
    seen, name = found.look, found.asked.name
    rhythm = seen.pace.rhythm
    page.say(
        f"{name}: predict {found.asked.target}, {_WHAT[seen.target.task]}",
        "",
        f"Written by `driftwheel init` on {today}. It runs as it stands; change what you know",
        "better.",
        f"The data: {seen.survey.rows} rows, {rhythm.words}, "
        f"from {_day(seen.pace.start)} to {_day(seen.pace.end)} (UTC); "
        f"{seen.pace.labelled} have a label.",
    )
    if found.noticed:
        page.say("", "Noticed:")
        for words in found.noticed:
            page.say(*_folded(words))


def _folded(words: str, width: int = 96) -> list[str]:
    """Break a sentence into lines of a comment."""
    lines, line = [], "-"
    for word in words.split():
        if len(line) + len(word) + 1 > width:
            lines.append(line)
            line = " "
        line = f"{line} {word}"
    return [*lines, line]


def _data(page: Page, found: Found) -> None:
    asked, fields, seen = found.asked, found.fields, found.look
    page.gap()
    source = fields["source"]
    page.rows("source", {key: (value, _of_source(key)) for key, value in source.items()})
    page.put("time", fields["time"], "when it happened; a time without a zone is UTC")
    page.put("target", fields["target"], "what is predicted; empty: a row to be scored")
    page.put("task", fields["task"], _of_task(seen))
    if "id" in fields:
        page.put("id", fields["id"], "names a row")
    if "entity" in fields:
        page.put("entity", fields["entity"], "whom or what a row is about")
    if "updated" in fields:
        page.put("updated", fields["updated"], "when a row was last changed: a later one corrects")
    if "label_delay" in fields:
        page.put("label_delay", fields["label_delay"], "the label is known so long after the event")
    if "label_time" in fields:
        page.put("label_time", fields["label_time"], _of_delay(seen))
    if "labels" in fields:
        labels = fields["labels"]
        page.gap()
        page.say(f"The truth, in a table of its own: {_of_delay(seen)}.")
        remarks = {
            "id": f"names the row, as {asked.id} does above",
            "time": "when the label was known; a later one corrects",
        }
        page.rows(
            "labels",
            {k: (v, remarks.get(k) or _of_source(k)) for k, v in labels.items()},
        )
    if "sink" in fields:
        page.gap()
        page.say("Predictions are written here too, each once, by its prediction_id.")
        page.rows("sink", {key: (value, "") for key, value in fields["sink"].items()})


def _of_source(key: str) -> str:
    return {
        "url": "the address is in the environment, or under [urls] in driftwheel.toml",
        "path": "relative to this file, or absolute",
        "python": "a function in code/ that yields batches since a time",
        "decimal_comma": "these write 1234.5 as 1.234,5",
        "day_first": "these write days as 31.1.2024",
        "month_first": "these write days as 1/31/2024",
    }.get(key, "")


def _of_task(seen: Look) -> str:
    values = seen.target.values.dropna()
    if seen.target.task == "regression":
        return f"{values.min():.6g} … {values.max():.6g}, mean {values.mean():.4g}"
    shares = values.value_counts(normalize=True)
    named = ", ".join(f"{name} {share:.1%}" for name, share in shares.iloc[:5].items())
    return named if len(shares) <= 5 else f"{len(shares)} classes: {named}, …"  # noqa: PLR2004 - as shown


def _of_delay(seen: Look) -> str:
    return seen.delay.shown if seen.delay.measured else "when the label was known"


def _columns(page: Page, found: Found) -> None:
    page.gap()
    page.say(
        "What a model learns from. A value outside min and max, or an empty one where nulls are",
        "false, sends its row to quarantine: bounds are wide, so that only a fault crosses them.",
    )
    fields = found.fields["columns"]
    page.rows(
        "columns",
        {one.name: (_short(fields[one.name]), _of_column(one)) for one in found.look.features},
    )
    left = found.look.left_out
    if left:
        page.gap()
        page.say("Left out, and why; to use one all the same, put it under columns instead.")
        page.items("exclude", list({one.column: (one.column, one.reason) for one in left}.values()))
    if "history" in found.fields:
        page.gap()
        page.say(
            "What was known of the past when a row was to be predicted: of labels, only those that",
            "had come by then.",
        )
        page.items("history", [(one, _of_history(one)) for one in found.fields["history"]])


def _short(column: dict[str, Any]) -> Any:
    return column["kind"] if list(column) == ["kind"] else column


def _of_column(one: Seen) -> str:
    missing = f"; {_share(one.nulls)} missing" if one.nulls else ""
    return f"{one.shown}{missing}"


def _share(share: float) -> str:
    return "under 1 %" if share < 0.01 else f"{share:.0%}".replace("%", " %")  # noqa: PLR2004 - a per cent


def _of_history(given: dict[str, Any]) -> str:
    take = next(take for take in _HISTORY if take in given)
    by = given.get("by", [])
    words = [_HISTORY[take]]
    words += [f"of the last {given['over']}"] if "over" in given else []
    words += [f"at least {given['back']} earlier"] if "back" in given else []
    words += [f"of the same {str(given['same']).replace('_', ' ')}"] if "same" in given else []
    words += [f"with the same {by if isinstance(by, str) else ' and '.join(by)}"] if by else []
    return ", ".join(words)


def _model(page: Page, found: Found) -> None:
    fields = found.fields
    page.gap()
    page.put("candidates", fields["candidates"], "also: forest, hist_boosting, network")
    if len(fields["windows"]) > 1:
        why = "what to learn from: the first training tries both and keeps the better"
    else:
        why = "what to learn from; or, for example, last 90d"
    page.put("windows", fields["windows"], why)
    page.put("naive", fields["naive"], "a first model must beat the best of these")
    if "season" in fields["naive"]:
        page.put("season", fields["season"], "season: the label so long ago")
    if "first_train" in fields:
        why = "a backtest begins here: enough rows to learn from, enough left to compare"
        page.put("first_train", fields["first_train"], why)
    else:
        page.say("A backtest begins 91 days after the first row; first_train: DATE says otherwise.")


def _judging(page: Page, found: Found) -> None:
    fields, pace = found.fields, found.look.pace
    least, most = found.look.choices.holdout
    held = int(pace.rows_in(max(most - pace.wait, timedelta(0))))
    width, _ = found.look.choices.monitor
    page.gap()
    page.say("A new model takes charge only if it is better on rows that it has not seen.")
    page.put(
        "holdout", fields["holdout"], f"about {held} rows with a label; fewer than {least}: wait"
    )
    page.put("gate", fields["gate"], "1 % better, at the 5 % level; rows of a block go together")
    page.put(
        "monitor",
        fields["monitor"],
        f"about {int(pace.rows_in(width))} rows a window of {span_in_words(_delta(width))}",
    )
    page.put(
        "policy",
        fields["policy"],
        "retrain when 30 % of the columns drifted in 2 of 3 windows; or periodic:28d, never",
    )


def _delta(width: timedelta) -> "pd.Timedelta":
    import pandas as pd

    return pd.Timedelta(width)


def _running(page: Page, found: Found) -> None:
    page.gap()
    page.say("When `driftwheel up` runs the steps: minute hour day month weekday, UTC.")
    rows = {flow: (cron, _CADENCE.get(cron, "")) for flow, cron in found.fields["schedule"].items()}
    page.rows("schedule", rows)


def _day(moment: "pd.Timestamp") -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment.hour or moment.minute else f"{moment:%Y-%m-%d}"


def document(found: Found, files: list[str], following: list[str]) -> dict[str, Any]:
    """Give what `--json` writes."""
    seen = found.look
    return {
        "pipeline": found.asked.name,
        "file": files[0],
        "task": seen.target.task,
        "features": [one.name for one in seen.features],
        "left_out": [{"column": one.column, "reason": one.reason} for one in seen.left_out],
        "noticed": list(found.noticed),
        "assumed": list(found.assumed),
        "history": [one.name for one in found.pipeline.history],
        "rows": seen.survey.rows,
        "from": seen.pace.start.isoformat(),
        "to": seen.pace.end.isoformat(),
        "label_wait": write_duration(seen.delay.late.to_pytimedelta()),
        "next": following,
    }


def end_of(found: Found) -> "pd.Timestamp":
    """Give the earliest plain moment at which every row of the source was known.

    Midnight after the last day where that is full; else the next minute. Not later: of the
    time since, rows would be missing, and rightly so told.
    """
    import pandas as pd

    facts, pace = found.look.survey.facts, found.look.pace
    known = pace.end
    if "updated" in facts and facts["updated"].notna().any():
        known = max(known, facts["updated"].max())
    if pace.rhythm.step is not None:
        midnight = pd.Timestamp((pace.end + pace.rhythm.step).floor("D"))
        if midnight >= known:
            return midnight
    return pd.Timestamp(known).ceil("min")


def _moment(when: "pd.Timestamp") -> str:
    return f"{when:%Y-%m-%d}" if when == when.normalize() else f"{when:%Y-%m-%dT%H:%M:%S}"


def next_commands(found: Found, *, now: "pd.Timestamp", home: str) -> list[str]:
    """Name the three commands to go on with; data that ended long ago is asked as of its end."""
    import pandas as pd

    name = found.asked.name
    end = end_of(found)
    as_of = f" --as-of {_moment(end)}" if end < now - pd.Timedelta(days=7) else ""
    stop, learnt = found.look.labels_stop, as_of
    if stop is not None:
        learnt = f" --as-of {_moment((stop + found.look.delay.nearly).ceil('min'))}"
    before = f"driftwheel --home {home}" if home else "driftwheel"
    return [
        f"{before} backtest {name}",
        f"{before} ingest {name}{as_of}",
        f"{before} train {name}{learnt}",
    ]
