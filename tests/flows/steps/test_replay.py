"""The loop over history: every row is predicted by somebody who could not know its label."""

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.answers import Answers
from components.errors import NotEnoughHistoryError, ParityError, TrainingError
from components.faults import Fault
from components.models.fitting import Fitted
from components.packages.scorer import Scorer
from components.pipelines import Pipeline, parse_duration
from driftwheel.backtesting import backtest, stretch_of
from flows.steps import replay as replaying
from flows.steps import training, unservable
from flows.steps.contenders import read_contender
from flows.steps.past import Past
from flows.steps.replay import Replayed, Stretch, first_recipe, replay
from flows.steps.replay_score import joined, score_with_interval
from flows.steps.rivals import NAIVE
from flows.steps.snapshots import join_labels, newest_known
from monitoring import diagnosis
from monitoring.policies import History, Verdict

START = pd.Timestamp("2024-01-01", tz="UTC")


def day(number: float) -> pd.Timestamp:
    return START + pd.Timedelta(days=number)


def pipeline(**fields: Any) -> Pipeline:
    given = {
        "name": "rides",
        "source": {"path": "rides.csv"},
        "time": "at",
        "target": "count",
        "task": "regression",
        "label_delay": "2d",
        "columns": {"heat": "number"},
        "candidates": ["linear"],
        "search": {"trials": 1},
        "window": "last 14d",
        "holdout": {"least_rows": 20, "most": "9d"},
        "monitor": {"window": "7d", "least_rows": 10},
        "policy": {"kind": "drift", "share": 0.5, "needed": 1, "of": 1, "cooldown": "7d"},
    }
    return Pipeline.model_validate({**given, **fields})


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Make six rows a day for 80 days; on day 50 the world changes. Labels take 2 to 4 days."""
    chance = np.random.default_rng(3)
    at = pd.date_range(START, periods=80 * 6, freq="4h")
    later = np.arange(len(at)) >= 50 * 6
    heat = chance.normal(size=len(at)) + np.where(later, 4.0, 0.0)
    label = np.where(later, 90 - 10 * heat, 50 + 10 * heat) + chance.normal(size=len(at))
    delay = pd.to_timedelta(chance.uniform(2, 4, len(at)), unit="D")
    made = pd.DataFrame({"event_time": at, "heat": heat, "label": label})
    made["known_time"] = made["event_time"] + delay
    made.loc[::25, ["label", "known_time"]] = [None, None]  # nobody ever counted those
    made["known_time"] = pd.to_datetime(made["known_time"], utc=True)
    return made.assign(record_id=made["event_time"].astype(str))


STRETCH = Stretch(day(0), day(30), day(80))


class Fits:
    """Listens to every fit that takes charge: its moment, and the rows it learnt from."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.all: list[tuple[pd.Timestamp, training.Trained]] = []
        real = training.fit_on

        def fit_on(*given: Any, until: pd.Timestamp, **more: Any) -> training.Trained:
            trained = real(*given, until=until, **more)
            self.all.append((until, trained))
            return trained

        monkeypatch.setattr(training, "fit_on", fit_on)

    def moment(self, model: Any) -> pd.Timestamp:
        """Say when a fitted model was fitted."""
        return next(until for until, trained in self.all if trained.fitted is model)


def past_of(rows: pd.DataFrame) -> Past:
    """Take each record as known at its event, and its label as known at `known_time`."""
    records = rows.drop(columns=["known_time", "label"]).assign(known_time=rows["event_time"])
    return Past.of(records, rows.loc[rows["label"].notna()].drop(columns="heat"), pipeline())


def run(rows: pd.DataFrame, text: str, **fields: Any) -> Replayed:
    return run_on(past_of(rows), text, **fields)


def run_on(past: Past, text: str, **fields: Any) -> Replayed:
    spec = pipeline(**fields)
    recipe = first_recipe(past, spec, STRETCH)
    return replay(past, spec, read_contender(text, spec), STRETCH, recipe=recipe)


@pytest.mark.parametrize("text", ["never", "periodic:5d", "periodic:10d+gate", "drift"])
def test_no_row_is_predicted_by_a_model_that_knew_its_label(
    rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    fits = Fits(monkeypatch)
    in_charge: dict[str, pd.Timestamp] = {}
    real = replaying._Replay._put_in_charge

    def watch(self: Any, trained: training.Trained, moment: pd.Timestamp) -> None:
        real(self, trained, moment)
        in_charge[self.rival.version] = fits.moment(trained.fitted)

    monkeypatch.setattr(replaying._Replay, "_put_in_charge", watch)
    done = run(rows, text)
    known = rows.set_index("event_time")["known_time"]
    assert in_charge
    for stretch, _ in done.predicted:
        for version, predicted in stretch.groupby("version"):
            fitted_at = in_charge[str(version)]
            assert (known[predicted["event_time"]] > fitted_at).all()
            assert (predicted["event_time"] > fitted_at).all()
    for until, trained in fits.all:
        assert (trained.rows["known_time"] <= until).all()


def test_every_labelled_row_after_the_first_training_is_predicted_once(rows: pd.DataFrame) -> None:
    expected = rows[(rows["event_time"] > day(30)) & rows["label"].notna()]
    for text in ("never", "periodic:5d", "drift"):
        scored, answers = joined(run(rows, text).predicted)
        assert scored["event_time"].tolist() == expected["event_time"].tolist()
        assert len(answers) == len(expected)


def test_never_never_retrains(rows: pd.DataFrame) -> None:
    done = run(rows, "never")
    assert (done.fits, done.promotions, done.refusals, done.waits) == (0, 0, 0, 0)
    assert {v for stretch, _ in done.predicted for v in stretch["version"]} == {"1"}
    assert [one.event for one in done.timeline if one.event] == ["promoted"], "the first"


@pytest.mark.parametrize(("text", "fits"), [("periodic:5d", 9), ("periodic:7d", 7)])
def test_a_calendar_without_a_gate_fits_at_every_date(
    rows: pd.DataFrame, text: str, fits: int
) -> None:
    done = run(rows, text)
    assert (done.fits, done.promotions) == (fits, fits)
    promoted = [one.at for one in done.timeline if one.event == "promoted"]
    assert set(np.diff(pd.DatetimeIndex(promoted))) == {parse_duration(text.split(":")[1])}


def test_behind_a_gate_a_calendar_promotes_what_is_better_only(rows: pd.DataFrame) -> None:
    done = run(rows, "periodic:5d+gate")
    said = Counter(one.event for one in done.timeline if one.event)
    assert said["promoted"] == done.promotions + 1
    assert 0 < done.promotions < 9
    assert done.refusals + done.waits > 0
    assert all(one.reason for one in done.timeline if one.event)


def test_drift_retrains_after_the_change_and_not_before(rows: pd.DataFrame) -> None:
    done = run(rows, "drift")
    decided = [one.at for one in done.timeline if one.event][1:]
    assert decided
    assert min(decided) > day(50)
    assert "drift in" in next(one.reason for one in done.timeline if one.at == decided[0])


def test_a_retrained_model_is_worth_it_where_the_world_changed(rows: pd.DataFrame) -> None:
    scores = {}
    for text in ("never", "periodic:5d"):
        scored, answers = joined(run(rows, text).predicted)
        scores[text], (low, high) = score_with_interval(scored, answers, pipeline())
        assert low < scores[text] < high
    assert scores["periodic:5d"] < scores["never"] / 2


def test_a_first_model_that_is_refused_leaves_the_naive_baseline(rows: pd.DataFrame) -> None:
    noise = rows.assign(heat=np.random.default_rng(1).normal(size=len(rows)))
    done = run(noise, "never")
    assert done.timeline[0].event in {"refused", "wait"}
    assert {v for stretch, _ in done.predicted for v in stretch["version"]} == {NAIVE}


def test_a_fit_that_fails_leaves_whoever_is_in_charge(
    rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = training.fit_on

    def fit_on(*given: Any, until: pd.Timestamp, **more: Any) -> Any:
        if until > day(40):
            raise TrainingError("linear had no luck")
        return real(*given, until=until, **more)

    monkeypatch.setattr(training, "fit_on", fit_on)
    done = run(rows, "periodic:10d")
    assert [one.event for one in done.timeline] == ["promoted"] * 2 + ["failed"] * 3
    assert done.fits == 1
    assert any("linear had no luck" in one.reason for one in done.timeline)


def test_what_is_fitted_counts_as_a_fit_also_where_the_gate_waits(
    rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[tuple[pd.Timestamp, History]] = []
    fitted: list[pd.Timestamp] = []
    real_judge, real_twin = replaying.judge, training.fit_twin

    def judge(policy: Any, history: History, *, as_of: pd.Timestamp, **more: Any) -> Verdict:
        judged.append((as_of, history))
        return real_judge(policy, history, as_of=as_of, **more)

    def fit_twin(*given: Any) -> training.Trained:
        fitted.append(judged[-1][0] if judged else day(30))
        return real_twin(*given)

    monkeypatch.setattr(replaying, "judge", judge)
    monkeypatch.setattr(training, "fit_twin", fit_twin)
    done = run(rows, "periodic:2d+gate")
    assert done.fits == len(fitted) - 1, "the first is not counted"
    assert done.fits > done.promotions + done.refusals, "some twins had to wait"
    assert done.fits < done.promotions + done.refusals + done.waits, "and some were not fitted"
    for at, history in judged:
        assert history.last_fit == max(moment for moment in fitted if moment < at)


def test_a_fit_that_answers_nonsense_does_not_take_charge(
    rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Fitted.predict

    def predict(self: Fitted, frame: pd.DataFrame) -> Answers:
        answers = real(self, frame)
        odd = frame["heat"].isna().to_numpy()  # as golden rows are, and none of ours
        return Answers(np.where(odd, np.nan, answers.values))

    monkeypatch.setattr(Fitted, "predict", predict)
    done = run(rows, "periodic:10d")
    assert (done.fits, done.promotions, done.refusals) == (4, 0, 4)
    assert "not finite" in done.timeline[0].reason
    assert {v for stretch, _ in done.predicted for v in stretch["version"]} == {NAIVE}


def test_a_fit_whose_package_answers_otherwise_does_not_take_charge(
    rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probe(_: Scorer) -> None:
        raise ParityError("the package answers 7")

    monkeypatch.setattr(Scorer, "probe", probe)
    done = run(rows, "periodic:10d")
    assert (done.promotions, done.refusals) == (0, 4)
    assert "its package cannot serve: the package answers 7" in done.timeline[1].reason


def test_one_package_is_written_for_one_recipe(
    rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Any] = []
    real = unservable.write_package

    def write_package(*given: Any, **more: Any) -> Any:
        written.append(real(*given, **more))
        return written[-1]

    monkeypatch.setattr(unservable, "write_package", write_package)
    assert run(rows, "periodic:10d").promotions == 4
    assert [manifest.format for manifest in written] == ["onnx"]


def test_the_rows_given_are_left_as_they_are(rows: pd.DataFrame) -> None:
    before = rows.copy()
    run(rows, "drift")
    pd.testing.assert_frame_equal(rows, before)


def test_the_same_history_gives_the_same_story(rows: pd.DataFrame) -> None:
    first, again = run(rows, "drift"), run(rows, "drift")
    assert first.timeline == again.timeline


# --- corrections and late records ----------------------------------------------------------------


def corrected(rows: pd.DataFrame, column: str, values: pd.Series, *, after: float) -> pd.DataFrame:
    """Add a second version of every row, known some days after the event."""
    later = rows.assign(
        **{column: values}, known_time=rows["event_time"] + pd.Timedelta(days=after)
    )
    return pd.concat([rows, later], ignore_index=True)


@pytest.fixture
def versions(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give records, whose heat is corrected a day later, and labels, corrected 10 days later."""
    records = rows.drop(columns=["known_time", "label"]).assign(known_time=rows["event_time"])
    labels = rows.loc[rows["label"].notna()].drop(columns="heat")
    return (
        corrected(records, "heat", records["heat"] + 1, after=1),
        corrected(labels, "label", labels["label"] * 2, after=10),
    )


@pytest.mark.parametrize("moment", [0, 1, 2.5, 11, 30, 79, 200])
def test_the_past_says_what_the_lake_would_have_said(
    versions: tuple[pd.DataFrame, pd.DataFrame], moment: float
) -> None:
    past = Past.of(*versions, pipeline())
    records, labels = (newest_known(each[each["known_time"] <= day(moment)]) for each in versions)
    for found, expected in (
        (past.records_known(day(moment)), records),
        (past.labels_known(day(moment)), labels),
        (past.labelled(day(moment)), join_labels(records, labels)),
    ):
        pd.testing.assert_frame_equal(
            found.reset_index(drop=True), expected, check_like=True, check_dtype=False
        )


def test_a_record_is_scored_as_first_known_against_the_label_as_finally_known(
    versions: tuple[pd.DataFrame, pd.DataFrame], rows: pd.DataFrame
) -> None:
    scored = Past.of(*versions, pipeline()).scored
    assert scored["heat"].tolist() == rows["heat"].tolist()
    assert (scored["known_time"] == scored["event_time"]).all()
    np.testing.assert_array_equal(scored["label"], rows["label"] * 2)


def test_a_late_record_is_predicted_by_whoever_is_in_charge_when_it_comes(
    rows: pd.DataFrame,
) -> None:
    records = rows.drop(columns=["known_time", "label"])
    late = records["event_time"] + pd.Timedelta(days=3)
    labels = rows.loc[rows["label"].notna()].drop(columns="heat")
    done = run_on(Past.of(records.assign(known_time=late), labels, pipeline()), "periodic:5d")
    for number, (stretch, _) in enumerate(done.predicted):
        assert set(stretch["version"]) == {str(number + 1)}
        assert (stretch["event_time"] > day(30 + 5 * number - 3)).all()
        assert (stretch["event_time"] <= day(30 + 5 * number + 2)).all()


def test_a_feature_that_is_corrected_to_the_answer_later_brings_no_profit(
    tmp_path: Path, rows: pd.DataFrame
) -> None:
    chance = np.random.default_rng(8)
    count = chance.normal(50, 10, len(rows))
    table = pd.DataFrame(
        {
            "ride": [f"r{number}" for number in range(len(rows))],
            "at": rows["event_time"],
            "heat": chance.normal(50, 10, len(rows)),
            "count": count,
            "changed": rows["event_time"],
        }
    )
    later = table.assign(heat=count, changed=table["at"] + pd.Timedelta(days=30))
    pd.concat([table, later]).to_csv(tmp_path / "rides.csv", index=False)
    spec = pipeline(
        file=tmp_path / "rides.yaml",
        first_train="2024-01-31",
        window="all",
        id="ride",
        updated="changed",
    )
    row = backtest(spec, ["periodic:7d"]).document["policies"]["periodic:7d"]
    noise = float(np.abs(count - count.mean()).mean())
    assert row["rows_scored"] == (rows["event_time"] > day(30)).sum()
    assert row["promotions"] > 5
    assert row["score"] > 0.95 * noise


# --- classes -------------------------------------------------------------------------------------


def test_stretches_with_other_classes_are_put_together() -> None:
    def part(names: str, shares: list[list[float]]) -> tuple[pd.DataFrame, Answers]:
        rows = pd.DataFrame({"event_time": [START] * len(shares), "label": list(names[:1])})
        return rows, Answers.of_output(np.array(shares), tuple(names))

    rows, answers = joined([part("ab", [[0.3, 0.7]]), part("bc", [[0.4, 0.6]])])
    assert answers.classes == ("a", "b", "c")
    assert answers.probabilities is not None
    assert answers.probabilities.tolist() == [[0.3, 0.7, 0.0], [0.0, 0.4, 0.6]]
    assert list(answers.values) == ["b", "c"]
    assert len(rows) == 2


def test_a_binary_history_replays(rows: pd.DataFrame) -> None:
    names = rows["label"].gt(50).map({True: "yes", False: "no"}).where(rows["label"].notna(), None)
    named = rows.assign(label=names)
    done = run(named, "periodic:10d", task="binary")
    scored, answers = joined(done.predicted)
    value, _ = score_with_interval(scored, answers, pipeline(task="binary"))
    assert 0.5 < value <= 1


# --- from the source -----------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path, rows: pd.DataFrame) -> Pipeline:
    """Write the history to a file, as a pipeline's source."""
    table = rows.rename(columns={"event_time": "at", "label": "count"})
    table[["at", "heat", "count"]].to_csv(tmp_path / "rides.csv", index=False)
    return pipeline(file=tmp_path / "rides.yaml", first_train="2024-01-31")


def test_a_backtest_reads_the_source_and_recommends_the_best(source: Pipeline) -> None:
    told: list[tuple[str, float]] = []
    found = backtest(source, ["never", "periodic:5d"], told=lambda *said: told.append(said))
    document = found.document
    assert document["recommended"] == "periodic:5d"
    assert list(document["policies"]) == ["never", "periodic:5d"]
    assert document["rows_scored"] == document["policies"]["never"]["rows_scored"]
    assert (document["from"], document["metric"]) == (day(30).isoformat(), "mae")
    assert document["recipe"] == "linear on last 14d"
    assert told[-1][1] == pytest.approx(1.0)


def test_without_policies_three_are_compared(source: Pipeline) -> None:
    policies = backtest(source).document["policies"]
    assert list(policies) == ["never", "periodic:28d", "default"]


@pytest.mark.parametrize(
    ("start", "end"),
    [(day(90), None), (day(30), day(20)), (None, day(30)), (day(80), None)],
    ids=["after all", "backwards", "nothing between", "at the last row"],
)
def test_a_history_too_short_is_said_with_what_to_do(
    source: Pipeline, start: pd.Timestamp | None, end: pd.Timestamp | None
) -> None:
    with pytest.raises(NotEnoughHistoryError, match=r"holds events from 2024-01-01 to 2024-03-20"):
        backtest(source, ["never"], start=start, end=end)


def test_a_first_training_without_enough_rows_is_said(source: Pipeline) -> None:
    done = backtest(source, ["never"], start=day(3), end=day(10)).document["policies"]["never"]
    assert done["timeline"][0]["event"] in {"wait", "failed"}
    assert done["rows_scored"] > 30, "the naive baseline answers"


def test_labels_that_never_come_are_said(source: Pipeline) -> None:
    table = pd.read_csv(source.source_path)
    table.assign(count=None).to_csv(source.source_path, index=False)
    with pytest.raises(NotEnoughHistoryError, match="whose label ever came"):
        backtest(source, ["never"])


def test_labels_that_stop_coming_end_the_score(source: Pipeline) -> None:
    table = pd.read_csv(source.source_path)
    table.loc[60 * 6 :, "count"] = None
    table.to_csv(source.source_path, index=False)
    document = backtest(source, ["never", "periodic:5d"]).document
    assert document["rows_scored"] < 30 * 6
    assert document["policies"]["never"]["timeline"][-1]["score"] is not None


def test_the_stretch_ends_where_the_events_do(rows: pd.DataFrame) -> None:
    stretch = stretch_of(
        past_of(rows), pipeline(first_train="2024-02-01"), start=None, end=day(500)
    )
    assert stretch == Stretch(day(0), day(31), rows["event_time"].max())
    assert timedelta(days=48) < stretch.end - stretch.start


# --- data faults ---------------------------------------------------------------------------------


def test_a_backtest_learns_nothing_from_a_fault_and_waits_while_it_stands(
    rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = rows.copy()
    bad = (broken["event_time"] >= day(24)) & (broken["event_time"] < day(26))
    broken.loc[bad, "heat"] *= 1000
    known = Fault(day(24), day(26), "unit_changed", "heat", "1000 times", 12)

    def diagnose(records: Any, *_: Any, since: Any, **__: Any) -> Any:
        seen = records["event_time"].max() >= known.since
        return (known,) if seen and (since is None or known.until > since) else ()

    monkeypatch.setattr(diagnosis, "diagnose", diagnose)
    fits = Fits(monkeypatch)
    done = run(broken, "drift")
    assert done.data_faults == 1
    said = [(one.at, one.event, one.reason) for one in done.timeline if one.event]
    assert [(at, event) for at, event, _ in said[:4]] == [
        (day(30), "data_fault"),
        (day(30), "data_fault"),
        (day(42), "data_fault"),
        (day(42), "promoted"),
    ]
    assert said[0][2] == "unit_changed in heat: 1000 times"
    assert "nothing is trained while a data fault stands" in said[1][2]
    assert said[2][2].startswith("discarded: the feed has been clean for two windows")
    assert "put off by a data fault" in said[3][2]
    spoilt = set(broken.loc[bad, "event_time"])
    assert fits.all
    for _, trained in fits.all[1:]:
        assert not spoilt & set(trained.rows["event_time"])
    scored, _ = joined(done.predicted)
    expected = rows[(rows["event_time"] > day(30)) & rows["label"].notna()]
    assert scored["event_time"].tolist() == expected["event_time"].tolist()
