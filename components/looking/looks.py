"""Everything that a look at somebody's table finds, put together."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.looking import oddities
from components.looking.choosing import Choices, Pace, choose, pace_of
from components.looking.columns import Seen, look_at_column, look_at_entity
from components.looking.leaks import Leaks, find_leaks
from components.looking.surveying import Roles, Survey, fingerprints, is_given
from components.looking.targets import (
    Delay,
    Target,
    labels_stop,
    measure_delay,
    notice_naive,
    notice_target,
    read_target,
)
from components.looking.times import cadence, looks_like_times, span_in_words
from components.values import parse_numbers, parse_text, parse_times

_NAMED_LATER = ("label", "known", "resolved", "closed", "settled", "confirmed", "arriv", "end",
                "finish", "paid", "outcome")  # fmt: skip
_MOSTLY = 0.95
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column that no model will see, and why."""

    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a table found.

    Attributes
    ----------
    features : tuple of Seen
        The columns that a model may learn from.
    left_out : tuple of LeftOut
    target : Target
        Read over the sample.
    labels : DataFrame of shape (n_sample, 3)
        `event_time`, `known_time`, `label` of the sampled rows.
    noticed : tuple of str
        What a person should know.
    labels_stop : Timestamp or None
        The last event with a label, where later ones are due.

    """

    survey: Survey
    features: tuple[Seen, ...]
    left_out: tuple[LeftOut, ...]
    target: Target
    labels: pd.DataFrame
    pace: Pace
    delay: Delay
    choices: Choices
    noticed: tuple[str, ...]
    labels_stop: pd.Timestamp | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """Where the labels of the sample are, raw, and when they were known.

    Attributes
    ----------
    values : Series
        Raw labels; of the index of the sample.
    known : Series of datetime64[us, UTC]
        Of the same index.
    delay : Delay
        Measured over all labelled rows; or as stated.
    labelled : int
        Rows with a label, of all rows.

    """

    values: pd.Series
    known: pd.Series
    delay: Delay
    labelled: int
    noticed: tuple[str, ...] = ()


def truth_beside(survey: Survey, roles: Roles, stated: pd.Timedelta | None) -> Truth:
    """Take labels that stand in the table itself.

    Parameters
    ----------
    stated : Timedelta, optional
        The label delay; None where the label has a time column of its own.

    """
    raw = survey.sample[str(roles.target)]
    event = parse_times(survey.sample[roles.time]).values
    labelled = survey.rows - survey.nulls[str(roles.target)]
    if roles.label_time is None:
        wait = stated if stated is not None else pd.Timedelta(0)
        return Truth(raw, event + wait, Delay(wait, wait, wait, wait), labelled)
    facts = survey.facts[survey.facts["labelled"]]
    delay = measure_delay(facts["event"], facts["label_known"])
    noticed = list(delay.noticed)
    timeless = int(facts["label_known"].isna().sum())
    if timeless:
        noticed.append(
            f"{timeless} labels have no readable time in {roles.label_time}; they are set aside"
        )
    known = parse_times(survey.sample[roles.label_time]).values
    return Truth(raw, known, delay, labelled, tuple(noticed))


def truth_apart(survey: Survey, roles: Roles, labels: pd.DataFrame) -> Truth:
    """Take labels from a table of their own.

    Parameters
    ----------
    labels : DataFrame of shape (n_labels, 3)
        `id` (fingerprint), `known` (datetime64[us, UTC]), `label` (raw; missing where there is
        none yet).

    """
    given = labels[is_given(labels["label"])]
    newest = given.sort_values("known", kind="stable").drop_duplicates("id", keep="last")
    newest = newest.set_index("id")
    ids = fingerprints(survey.sample[str(roles.id)])
    values = ids.map(newest["label"].astype(object)).astype(object)
    values = values.astype("str") if isinstance(given["label"].dtype, pd.StringDtype) else values
    facts = survey.facts
    matched = facts["id"].isin(newest.index)
    waited = facts.loc[matched, ["id", "event"]]
    delay = measure_delay(waited["event"], waited["id"].map(newest["known"]))
    noticed = list(delay.noticed)
    strangers = int((~newest.index.isin(pd.Index(facts["id"]))).sum())
    if strangers and len(facts) == survey.rows:
        noticed.append(f"{strangers} labels name an id that no row has")
    again = len(given) - len(newest)
    if again:
        noticed.append(f"{again} labels come again for the same id; a later one corrects")
    labelled = round(survey.rows * matched.mean())
    return Truth(values, ids.map(newest["known"]), delay, labelled, tuple(noticed))


def look(
    survey: Survey,
    roles: Roles,
    truth: Truth,
    *,
    task: str | None = None,
    exclude: Sequence[str] = (),
    keep: Sequence[str] = (),
    now: pd.Timestamp,
    told: Callable[[str], None] = lambda _: None,
) -> Look:
    """Look at a table: what each column holds, what leaks, what is odd, what fits its pace.

    Parameters
    ----------
    survey : Survey
    roles : Roles
    truth : Truth
    task : str, optional
        As stated; else told from the target.
    exclude : sequence of str
        Columns that a person leaves out.
    keep : sequence of str
        Columns that stay in though they would be left out as telling too much.
    now : Timestamp
        To say which rows are in the future.

    """
    target = read_target(str(roles.target), truth.values, task)
    event = parse_times(survey.sample[roles.time]).values
    labels = pd.DataFrame({"event_time": event, "known_time": truth.known, "label": target.values})
    if roles.entity in survey.sample:
        labels["entity"] = survey.sample[roles.entity]
    told("looking at the columns")
    seen, left = _columns(survey, roles, exclude)
    later = _later_times(survey, roles, left, event)
    left = [LeftOut(one.column, later.get(one.column, one.reason)) for one in left]
    told("looking for columns that hold the answer")
    leaks = Leaks() if target.problem else _leaks(survey, seen, target, event)
    leaking = {name: str(leak) for leak in leaks.certain for name in leak.columns}
    left += [LeftOut(n, r) for n, r in leaking.items() if n not in keep]
    features = tuple(one for one in seen if one.name not in leaking or one.name in keep)
    told("looking at times and labels")
    rhythm = cadence(survey.facts["event"])
    pace = pace_of(survey.facts["event"], truth.labelled, truth.delay, rhythm, _rarest(target))
    choices = choose(pace, task=target.task)
    stop = labels_stop(labels, truth.delay)
    noticed = [
        *_notice_times(survey, roles, now),
        *oddities.notice_rhythm(rhythm),
        *oddities.notice_shared_times(survey.facts, rhythm, roles.entity),
        *truth.noticed,
        *_notice_labels(survey, roles, truth, target, labels),
        *_notice_stop(str(roles.target), labels, stop, truth.delay),
        *_notice_leaks(leaks, {one.name for one in features}, keep),
        *_notice_columns(survey, features, event),
        *choices.noticed,
    ]
    return Look(
        survey, features, tuple(left), target, labels, pace, truth.delay, choices,
        tuple(dict.fromkeys(noticed)), stop,
    )  # fmt: skip


def _rarest(target: Target) -> float:
    """Give the share of the rarer of two classes; 1 where there are not two."""
    if target.task != "binary" or target.problem:
        return 1.0
    return float(target.values.value_counts(normalize=True).min())


def plausible_label_times(survey: Survey, roles: Roles) -> list[str]:
    """Name the time columns that may say when the label was known, the likeliest first.

    They are hardly ever before the event, and there where the target is.
    """
    event = parse_times(survey.sample[roles.time]).values
    given = is_given(survey.sample[roles.target]) if roles.target in survey.columns else None
    found = []
    for name in survey.columns:
        raw = survey.sample[name]
        if name in roles.named.values() or not looks_like_times(raw):
            continue
        moments = parse_times(raw).values
        both = moments.notna() & event.notna()
        if not both.any() or (moments[both] >= event[both]).mean() < _MOSTLY:
            continue
        named = any(word in name.lower() for word in _NAMED_LATER)
        there = 0.0 if given is None else float((moments.notna() == given).mean())
        if named or there >= _MOSTLY:
            found.append((-named, -there, name))
    return [name for _, _, name in sorted(found)]


def unique_columns(survey: Survey, roles: Roles) -> list[str]:
    """Name the columns that name each row of the sample, ids by their name first."""
    found = []
    for name in survey.columns:
        if name in (roles.time, roles.target, roles.label_time, roles.updated):
            continue
        if survey.nulls[name] or looks_like_times(survey.sample[name]):
            continue
        text = parse_text(survey.sample[name]).values
        if text.isna().any() or not text.is_unique:
            continue
        numbers = parse_numbers(survey.sample[name])
        whole = not numbers.unreadable.any() and bool((numbers.values % 1 == 0).all())
        if numbers.unreadable.all() or whole:
            likely = any(word in name.lower() for word in ("id", "seq", "key", "no", "num"))
            found.append((not likely, name))
    return [name for _, name in sorted(found)]


def naming_columns(survey: Survey, roles: Roles) -> list[str]:
    """Name the columns that, with the time, name each row of the sample: whom it is about."""
    times = parse_times(survey.sample[roles.time]).values
    found = []
    for name in survey.columns:
        if name in roles.named.values():
            continue
        text = parse_text(survey.sample[name]).values
        if text.isna().any() or text.is_unique:
            continue
        pairs = pd.DataFrame({"time": times, "name": text})
        if not pairs.duplicated().any():
            found.append((text.nunique(), name))
    return [name for _, name in sorted(found)][:3]


def _columns(
    survey: Survey, roles: Roles, exclude: Sequence[str]
) -> tuple[list[Seen], list[LeftOut]]:
    """Look at each column that has no role; left out are those no model can use."""
    taken = set(roles.named.values()) - {roles.entity}
    left = [LeftOut(name, "stands more than once in the source") for name in survey.twice]
    left += [LeftOut(name, "--exclude") for name in exclude if name not in taken]
    seen, names = [], set[str]()
    for name in survey.columns:
        if name in taken or name in exclude:
            continue
        look_at = look_at_entity if name == roles.entity else look_at_column
        one = look_at(name, survey)
        reason = one.reason or _name_taken(name, names)
        if reason:
            left.append(LeftOut(name, reason))
        else:
            seen.append(one)
            names.add(name.lower())
    return seen, left


def _name_taken(name: str, names: Iterable[str]) -> str:
    from components.checks import OWN_PREFIX

    keys = ("record_id", "event_time", "known_time", "label", "label_known_time")
    if name.lower() in keys:
        return "has the name of a key in our tables: rename it in the source to use it"
    if name.lower() in names:
        return "differs from another column in case only: rename it in the source to use it"
    if not name.strip() or name.startswith(OWN_PREFIX):
        return "has no name that can be used: rename it in the source to use it"
    return ""


def _later_times(
    survey: Survey, roles: Roles, left: Iterable[LeftOut], event: pd.Series
) -> dict[str, str]:
    """Say of the times among what is left out which are known only after the event."""
    found = {}
    for one in left:
        if "time" not in one.reason or one.column not in survey.sample.columns:
            continue
        moments = parse_times(survey.sample[one.column]).values
        both = moments.notna() & event.notna()
        if both.any() and (moments[both] > event[both]).mean() > _HALF:
            found[one.column] = f"is a time later than {roles.time}: nobody knows it by then"
    return found


def _leaks(survey: Survey, seen: Sequence[Seen], target: Target, event: pd.Series) -> Leaks:
    parsed = {}
    for one in seen:
        raw = survey.sample[one.name]
        if one.kind == "number":
            values = parse_numbers(raw).values
            parsed[one.name] = values.where(np.isfinite(values))
        else:
            parsed[one.name] = parse_text(raw).values
    columns = pd.DataFrame(parsed, index=survey.sample.index)
    return find_leaks(columns, target.values, event, task=target.task)


def _notice_times(survey: Survey, roles: Roles, now: pd.Timestamp) -> list[str]:
    found = []
    for name in (roles.time, roles.updated, roles.label_time):
        if name in survey.moments:
            found += oddities.notice_times(str(name), survey.moments[str(name)])
    found += oddities.notice_order(survey.facts, now)
    found += oddities.notice_copies(survey.sample)
    if not survey.whole:
        found.append(
            f"{survey.rows} rows: columns were judged by {len(survey.sample)} of them, in "
            "stretches spread over the source"
        )
    return found


def _notice_labels(
    survey: Survey, roles: Roles, truth: Truth, target: Target, labels: pd.DataFrame
) -> list[str]:
    name = str(roles.target)
    found = list(target.noticed)
    missing = survey.rows - truth.labelled
    if missing:
        share = missing / survey.rows
        found.append(
            f"{missing} rows ({share:.1%}) have no label: they are scored, not learnt from"
        )
    if truth.delay.measured:
        found.append(f"label delay: {truth.delay.shown}")
    elif 0 < truth.labelled < survey.rows and roles.updated is None:
        found.append(
            f"target {name}: a label that is written into its row later counts as known "
            f"{span_in_words(truth.delay.longest)} after the event, however late it came, for "
            "nothing says when; --updated COL or --label-time COL, where a column does"
        )
    if target.problem:
        return found
    found += notice_target(name, labels, target.task)
    return found + notice_naive(name, labels, target.task)


def _notice_stop(
    name: str, labels: pd.DataFrame, stop: pd.Timestamp | None, delay: Delay
) -> list[str]:
    if stop is None:
        return []
    rows = int((labels["event_time"] > stop).sum())
    return [
        (
            f"target {name}: none of the {rows} rows after {stop:%Y-%m-%d %H:%M} has a label, "
            f"though one is due {span_in_words(delay.nearly)} after its event: a feed of labels "
            "that broke (a data fault, which keeps from training), or rows of the future? The "
            "first training below is as of an earlier moment"
        )
    ]


def _notice_leaks(leaks: Leaks, features: set[str], keep: Sequence[str]) -> list[str]:
    if not leaks.judged:
        return ["too few labelled rows to tell whether a column gives the target away"]
    found = [
        f"{one.columns[0]}: {one}; is it really known when one predicts? --exclude "
        f"{one.columns[0]} leaves it out"
        for one in leaks.suspicious
        if set(one.columns) <= features
    ]
    kept = [one for one in leaks.certain if set(one.columns) & set(keep)]
    return found + [f"{' and '.join(one.columns)}: {one}; kept by --keep" for one in kept]


def _notice_columns(survey: Survey, features: Sequence[Seen], event: pd.Series) -> list[str]:
    found = [words for one in features for words in one.noticed]
    found += oddities.notice_nulls({one.name: one.nulls for one in features})
    for one in features:
        raw = survey.sample[one.name]
        if one.kind == "number":
            found += oddities.notice_frozen(one.name, parse_numbers(raw).values, event)
        else:
            found += oddities.notice_new_values(one.name, parse_text(raw).values, event)
    return found
