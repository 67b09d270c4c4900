"""A row sees what was known at its moment, to the last digit, and nothing else."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.errors import PipelineFileError
from components.history import HistoryIndex, add_history
from components.history import timeline as timelines
from components.pipelines import Pipeline

START = pd.Timestamp("1999-12-30", tz="UTC")
STEP = pd.Timedelta("20min")
DTYPE = "datetime64[us, UTC]"
BASE = {
    "name": "p",
    "source": {"path": "p.csv"},
    "time": "t",
    "target": "y",
    "id": "id",
    "entity": "who",
    "columns": {"x": "number", "place": "category"},
}
SAMES = (None, "hour", "weekday", "hour_of_week")


def pipeline(*history: dict, task: str = "regression", apart: bool = False) -> Pipeline:
    truth = {"labels": {"path": "l.csv", "id": "id", "time": "at"}} if apart else {}
    return Pipeline.model_validate(
        {**BASE, "task": task, "history": history} | (truth or {"label_delay": "1d"})
    )


def at(step: float | None) -> pd.Timestamp:
    return pd.NaT if step is None else START + step * STEP


def frame(rows: list[tuple], *columns: str) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["record_id", "event_time", "known_time", *columns])
    for name in ("event_time", "known_time"):
        made[name] = pd.to_datetime(made[name].map(at), utc=True).astype(DTYPE)
    kinds = {"x": "float64", "place": "str", "who": "str", "record_id": "str"}
    return made.astype({name: kind for name, kind in kinds.items() if name in made})


def records_of(rows: list[tuple]) -> pd.DataFrame:
    return frame(rows, "x", "place", "who")


def labels_of(rows: list[tuple], kind: str = "float64") -> pd.DataFrame:
    return frame(rows, "label").astype({"label": kind})


# ---- the same in the plainest words, one row and one version at a time ----------------------


def visible(versions: list[dict], moment: pd.Timestamp) -> dict[str, dict]:
    """Give of each record the version known last."""
    known = [one for one in versions if one["known_time"] <= moment]
    return {one["record_id"]: one for one in sorted(known, key=lambda one: one["known_time"])}


def seen(feature, row, moment, records, labels, apart) -> list[dict]:
    said = visible(labels if feature.of == "label" else records, moment)
    whose = visible(records, moment)
    found = []
    for one in said.values():
        record = whose.get(one["record_id"])
        if feature.of == "label" and (feature.by or apart) and record is None:
            continue
        event = record["event_time"] if feature.of == "label" and apart else one["event_time"]
        value = 1.0 if feature.of == "records" else one[feature.of]
        about = record if feature.by else None
        known = one["known_time"]
        if feature.of == "label" and (feature.by or apart):
            # Said of a record: known as it is since both are.
            known = max(known, record["known_time"])
        found.append(
            {**one, "event_time": event, "known_time": known, "value": value, "about": about}
        )
    return [one for one in found if fits(feature, row, one)]


def fits(feature, row, one) -> bool:
    event, mine = one["event_time"], row["event_time"]
    if pd.isna(one["value"]) or pd.isna(event) or not event < mine:
        return False
    if feature.over is not None and not event > mine - feature.over:
        return False
    if feature.back is not None and not event <= mine - feature.back:
        return False
    same = {
        None: lambda _: 0,
        "hour": lambda time: time.hour,
        "weekday": lambda time: time.weekday(),
        "hour_of_week": lambda time: (time.weekday(), time.hour),
    }[feature.same]
    return same(event) == same(mine) and all(one["about"][name] == row[name] for name in feature.by)


def taken(feature, found: list[dict], upper) -> object:
    if feature.take == "count":
        return float(len(found))
    found = sorted(found, key=lambda o: (o["event_time"], o["known_time"], o["record_id"]))
    values = [one["value"] for one in found]
    if feature.take == "last":
        return values[-1] if values else np.nan
    if upper is not None:
        values = [float(value == upper) for value in values]
    exact = [Fraction(value) for value in values]
    if feature.take == "mean":
        return float(sum(exact) / len(exact)) if exact else np.nan
    # To the second over a few weeks, over everything to the hour.
    unit = 3600 if feature.over is None else 60 if feature.over.days > 24 else 1
    seconds = [int(one["event_time"].timestamp()) // unit * unit for one in found]
    days = [Fraction(second, 86400) for second in seconds]
    if len(set(days)) < 2:
        return np.nan
    middle = sum(days) / len(days)
    spread = sum((day - middle) ** 2 for day in days)
    return float(sum((d - middle) * v for d, v in zip(days, exact, strict=True)) / spread)


def reference(rows, records, labels, pipe, moments=None) -> pd.DataFrame:
    asked, past = rows.to_dict("records"), records.to_dict("records")
    truth = labels.to_dict("records")
    apart = pipe.labels is not None
    made = {feature.name: [] for feature in pipe.history}
    for place, row in enumerate(asked):
        versions = [one for one in past if one["record_id"] == row["record_id"]]
        versions = [one for one in versions if not pd.isna(one["known_time"])]
        moment = row["known_time"]
        if moments is not None:
            moment = moments.iloc[place]
        elif versions:
            row = min(versions, key=lambda one: one["known_time"])  # noqa: PLW2901
            moment = row["known_time"]
        for feature in pipe.history:
            found, upper = [], None
            classes = pipe.resolved_task != "regression" and feature.of == "label"
            share = classes and feature.take in {"mean", "trend"}
            if not pd.isna(moment) and not pd.isna(row["event_time"]):
                found = seen(feature, row, moment, past, truth, apart)
                if share:
                    upper = upper_class(moment, truth)
                    found = found if upper else []
            made[feature.name].append(taken(feature, found, upper))
    return pd.DataFrame(made, index=rows.index)


def upper_class(moment, labels) -> str | None:
    ever = [one for one in labels if one["known_time"] <= moment and not pd.isna(one["label"])]
    classes = {one["label"] for one in ever}
    return max(classes) if len(classes) > 1 else None


def same_values(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    assert list(ours.columns) == list(theirs.columns)
    for name in ours.columns:
        if ours[name].dtype == "float64":
            expected = theirs[name].astype("float64").to_numpy()
            np.testing.assert_allclose(ours[name].to_numpy(), expected, rtol=1e-9, atol=1e-9)
        else:
            assert ours[name].dtype == "str"
            assert ours[name].fillna("-").tolist() == theirs[name].fillna("-").tolist()


# ---- worlds in which labels are late, corrected, missing, tied ------------------------------


steps = st.one_of(st.integers(0, 30), st.sampled_from([0, 72, 144, 504, 576, 1008]))
cells = st.one_of(
    st.none(), st.sampled_from([0.0, 1.0, -2.5, 0.1, 1e-7, 3e11]), st.floats(-9, 9, width=32)
)
spans = st.sampled_from([None, "20min", "1h", "3h", "1d", "7d", "30d"])


@st.composite
def features(draw, task: str = "regression") -> dict:
    of = draw(st.sampled_from(["label", "label", "x", "place", "records"]))
    takes = {"records": ["count"], "place": ["last", "count"]}.get(
        of, ["last", "count", "mean", "trend"]
    )
    if of == "label" and task == "multiclass":
        takes = ["last", "count"]
    made = {"of": of, "take": draw(st.sampled_from(takes)), "over": draw(spans)}
    spread = ["20min", "1h", "3h", "1d", "7d", "30d"]
    shorter = spread[: spread.index(made["over"])] if made["over"] else spread
    made |= {"back": draw(st.sampled_from([None, *shorter])), "same": draw(st.sampled_from(SAMES))}
    return made | {"by": draw(st.sampled_from([(), (), ("place",), ("who",), ("place", "who")]))}


@st.composite
def worlds(draw, most: int = 12):
    """Draw records and labels of every version, with nothing said twice at the same time."""
    task = draw(st.sampled_from(["regression", "binary", "multiclass"]))
    apart = draw(st.booleans())
    classes = {"binary": ["no", "yes"], "multiclass": ["a", "b", "c"]}.get(task)
    answers = cells if classes is None else st.sampled_from([None, *classes])
    places = st.sampled_from([None, "a", "b"])
    records, labels = [], []
    for number in range(draw(st.integers(0, most))):
        name, event = f"r{number * 7 % 10}{number}", draw(steps)
        known = event + draw(st.sampled_from([0, 0, 1, 5, 80]))
        who = draw(places)
        for late in sorted({0, *draw(st.sets(st.integers(1, 90), max_size=2))}):
            moved = event + draw(st.sampled_from([0, 0, 0, 1])) if late else event
            place, x = draw(places), draw(cells)
            records.append((name, moved, known + late, x, place, who))
        wait = draw(st.sampled_from([0, 1, 3, 72]))
        lates = sorted(draw(st.sets(st.sampled_from([0, 1, 2, 9, 200]), max_size=3)))
        labels += [(name, event, event + wait + late, draw(answers)) for late in lates]
    history = draw(st.lists(features(task), min_size=1, max_size=3))
    history = list({str(one): one for one in history}.values())
    kind = "float64" if classes is None else "str"
    pipe = pipeline(*history, task=task, apart=apart)
    return records_of(records), labels_of(labels, kind), pipe


@pytest.fixture(params=["walked", "swept"], name="hard")
def _hard(request, monkeypatch) -> None:
    """Take either way for the rows that two searches do not answer."""
    monkeypatch.setattr(timelines, "_A_WALK", 0 if request.param == "walked" else 10**15)
    monkeypatch.setattr(timelines, "STEPS", 1)


@pytest.mark.usefixtures("hard")
@settings(max_examples=40, deadline=None)
@given(worlds())
def test_every_value_is_what_the_plainest_words_say(world) -> None:
    records, labels, pipe = world
    ours = HistoryIndex.of(records, labels, pipe).at(records)
    same_values(ours, reference(records, records, labels, pipe))


def known_by(rows: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    return rows[rows["known_time"] <= moment]


@settings(max_examples=40, deadline=None)
@given(worlds(), st.integers(0, 120))
def test_what_became_known_later_changes_not_one_digit(world, step) -> None:
    records, labels, pipe = world
    moment = at(step)
    past, truth = known_by(records, moment), known_by(labels, moment)
    then = HistoryIndex.of(past, truth, pipe).at(past)
    later = HistoryIndex.of(records, labels, pipe).at(past)
    pd.testing.assert_frame_equal(later, then, check_exact=True)


@settings(max_examples=30, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_what_happened_later_changes_not_one_digit(world, random) -> None:
    records, labels, pipe = world
    if records.empty:
        return
    row = records.iloc[[random.randrange(len(records))]]
    moment = row["known_time"]
    event = row["event_time"].iloc[0]
    whole = HistoryIndex.of(records, labels, pipe).at(row, moment)
    earlier = set(records.loc[records["event_time"] < event, "record_id"])
    earlier |= set(labels.loc[labels["event_time"] < event, "record_id"])
    kept, said = (rows[rows["record_id"].isin(earlier)] for rows in (records, labels))
    less = HistoryIndex.of(kept, said, pipe).at(row, moment)
    shares = [one for one in pipe.history if one.of == "label" and one.take in {"mean", "trend"}]
    if pipe.resolved_task != "regression":  # which class sorts last is learnt from every label
        names = [one.name for one in shares]
        less, whole = less.drop(columns=names), whole.drop(columns=names)
    pd.testing.assert_frame_equal(less, whole, check_exact=True)


@settings(max_examples=40, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_one_row_a_chunk_and_any_order_answer_alike(world, random) -> None:
    records, labels, pipe = world
    whole = HistoryIndex.of(records, labels, pipe).at(records)
    order = list(range(len(records)))
    random.shuffle(order)
    mixed = HistoryIndex.of(
        records.iloc[order], labels.sample(frac=1, random_state=len(order)), pipe
    )
    rows = mixed.at(records.iloc[order])
    pd.testing.assert_frame_equal(rows.sort_index(), whole.sort_index(), check_exact=True)
    for place in order[:3]:
        alone = mixed.at(records.iloc[[place]])
        pd.testing.assert_frame_equal(alone, whole.iloc[[place]], check_exact=True)


# ---- the claims one by one -------------------------------------------------------------------


HOURLY = records_of([(f"r{n}", n * 3, n * 3, float(n), "ab"[n % 2], "w") for n in range(24 * 15)])
SAID = labels_of([(f"r{n}", n * 3, n * 3 + 72, float(n)) for n in range(24 * 15)])


def column(feature: dict, records=HOURLY, labels=SAID, task="regression") -> pd.Series:
    pipe = pipeline(feature, task=task)
    return add_history(records, records=records, labels=labels, pipeline=pipe)[pipe.history[0].name]


def test_the_last_label_is_the_newest_that_was_known() -> None:
    found = column({"last": "label"})
    assert found.iloc[:24].isna().all()
    assert found.iloc[24:].tolist() == [float(n) for n in range(24 * 14)]


def test_a_week_back_is_the_same_hour_of_last_week() -> None:
    found = column({"last": "label", "back": "7d"})
    assert found.iloc[168:].tolist() == [float(n) for n in range(24 * 8)]


def test_a_window_is_open_at_both_ends() -> None:
    found = column({"count": "records", "over": "3h"})
    assert found.iloc[:5].tolist() == [0, 1, 2, 2, 2], "three hours before is outside"


def test_a_trend_is_the_slope_per_day() -> None:
    found = column({"trend": "x", "over": "7d"})
    assert found.iloc[:2].isna().all()
    assert found.iloc[2:].to_numpy() == pytest.approx(24.0)


def test_the_share_is_of_the_class_that_sorts_last_once_both_are_known() -> None:
    said = labels_of([(f"r{n}", n, n, "no" if n % 3 else "yes") for n in range(1, 12)], "str")
    records = records_of([(f"r{n}", n, n, 0.0, "a", "w") for n in range(1, 12)])
    found = column({"mean": "label"}, records, said, "binary")
    assert found.iloc[:2].isna().all()
    assert found.iloc[3] == pytest.approx(1 / 3)


def test_more_than_two_classes_have_no_mean() -> None:
    resolved = pipeline({"mean": "label"}, task="binary").model_copy(update={"task": "multiclass"})
    with pytest.raises(PipelineFileError, match="label_mean; take last or count"):
        HistoryIndex.of(HOURLY, SAID, resolved)


def test_a_category_is_text_and_missing_where_nothing_was_known() -> None:
    found = column({"last": "place"})
    assert found.dtype == "str"
    assert found.isna().tolist()[:2] == [True, False]


def test_a_correction_does_not_change_what_a_model_learns_from_its_row() -> None:
    records = records_of([("a", 0, 0, 1.0, "x", "w"), ("b", 9, 9, 2.0, "x", "w")])
    later = records_of([("b", 12, 50, 2.0, "y", "w"), ("a", 0, 50, 9.0, "y", "w")])
    pipe = pipeline({"last": "x", "by": "place"})
    nothing = labels_of([])
    then = add_history(records, records=records, labels=nothing, pipeline=pipe)
    everything = pd.concat([records, later], ignore_index=True)
    now = add_history(later.iloc[[0]], records=everything, labels=nothing, pipeline=pipe)
    name = pipe.history[0].name
    assert then[name].iloc[1] == now[name].iloc[0] == 1.0


def test_a_label_of_a_table_of_its_own_counts_once_its_record_is_known() -> None:
    records = records_of([("a", 0, 30, 1.0, "x", "w"), ("b", 9, 9, 2.0, "x", "w")])
    said = labels_of([("a", 0, 2, 7.0)])
    pipe = pipeline({"last": "label"}, apart=True)
    found = HistoryIndex.of(records, said, pipe)
    times = pd.to_datetime([at(29), at(30)], utc=True).astype(DTYPE)
    asked = [found.at(records.iloc[[1]], pd.Series([time]))["label_last"].iloc[0] for time in times]
    assert np.isnan(asked[0])
    assert asked[1] == 7.0


def test_rows_without_a_time_or_a_moment_see_nothing() -> None:
    rows = records_of([("n", None, 900, 1.0, "a", "w"), ("m", 900, None, 1.0, "a", "w")])
    pipe = pipeline({"last": "label"}, {"count": "label"})
    found = HistoryIndex.of(HOURLY, SAID, pipe).at(rows)
    assert found["label_last"].isna().all()
    assert found["label_count"].tolist() == [0, 0]


def test_without_history_features_rows_are_left_alone() -> None:
    rows = add_history(HOURLY, records=HOURLY, labels=SAID, pipeline=pipeline())
    assert rows is HOURLY


def test_nothing_known_at_all_is_no_error() -> None:
    pipe = pipeline({"last": "label"}, {"mean": "x", "by": "who"}, {"last": "place"})
    found = HistoryIndex.of(HOURLY.iloc[:0], SAID.iloc[:0], pipe).at(HOURLY.iloc[:2])
    assert found.isna().all(axis=None)
