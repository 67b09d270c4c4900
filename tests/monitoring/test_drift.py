import warnings

import numpy as np
import pandas as pd
import pytest

from components.pipelines.possible import NUMBERS_ONLY
from components.pipelines.spec import DriftTest
from monitoring.columns import DIRECTIONS, usable_values
from monitoring.drift import _evidently, evidently_score, measure_drift
from monitoring.measurements import status_of

METHODS = sorted(DIRECTIONS)


@pytest.fixture
def measure(make_pipeline, make_rows, window):
    def run(current, *, reference=None, pipeline=None, **options):
        found = measure_drift(
            make_rows(2_000) if reference is None else reference,
            current,
            pipeline or make_pipeline(),
            window=window,
            seed=0,
            **options,
        )
        return {(one.name, one.column): one for one in found}

    return run


def one_method(make_pipeline, method, threshold):
    test = {"method": method, "threshold": threshold}
    category = test if method not in NUMBERS_ONLY else {"method": "psi", "threshold": 0.1}
    return make_pipeline(monitor={"number": test, "category": category})


def report_of_evidently(reference, current, column, kind, test):
    """Ask the public report the same, and whether its own test fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from evidently import DataDefinition, Dataset, Report
        from evidently.core.metric_types import TestStatus
        from evidently.metrics import ValueDrift

        kinds = {"number": "numerical_columns", "category": "categorical_columns"}
        definition = DataDefinition(**{kinds[kind]: [column]})
        metric = ValueDrift(column=column, method=test.method, threshold=test.threshold)
        sides = [Dataset.from_pandas(side[[column]], definition) for side in (current, reference)]
        run = Report([metric], include_tests=True).run(*sides)
        result = next(iter(run.metric_results.values()))
    return result.value, result.tests[0].status == TestStatus.FAIL


@pytest.mark.parametrize("shift", [0.0, 1.5], ids=["same", "moved"])
@pytest.mark.parametrize(
    ("method", "column", "kind"),
    [
        *((method, "price", "number") for method in METHODS),
        *((method, "town", "category") for method in METHODS if method not in NUMBERS_ONLY),
    ],
)
def test_score_and_direction_agree_with_the_report_of_evidently(
    make_rows, method, column, kind, shift
):
    reference, current = make_rows(2_000), make_rows(168, seed=1)
    current["price"] += 2 * shift
    current.loc[: int(80 * shift), "town"] = "Kiel"
    seen = [usable_values(side, column, kind)[0] for side in (reference, current)]
    score = evidently_score(*seen, kind, DriftTest(method=method, threshold=0.1))

    for threshold in (score * 0.5 + 1e-9, score * 2 + 1e-9):
        test = DriftTest(method=method, threshold=threshold)
        value, failed = report_of_evidently(reference, current, column, kind, test)
        assert value == pytest.approx(score)
        assert (status_of(score, threshold, DIRECTIONS[method]) == "breach") == failed


@pytest.mark.parametrize("method", METHODS)
def test_a_score_on_the_threshold_is_drift_to_us_and_to_evidently(make_rows, method):
    sides = make_rows(2_000)["price"], make_rows(168, seed=1)["price"]
    score = evidently_score(*sides, "number", DriftTest(method=method, threshold=1))
    exact = DriftTest(method=method, threshold=score)

    assert _evidently(*sides, "number", exact) == (score, True)
    assert status_of(score, score, DIRECTIONS[method]) == "breach"


def test_rows_like_the_reference_do_not_drift(measure, make_rows):
    found = measure(make_rows(168, seed=1))

    assert {one.status for one in found.values()} == {"fine"}
    assert found["drift_share", None].value == 0


def test_a_moved_column_drifts_and_is_named_with_what_moved(measure, make_rows):
    rows = make_rows(168, seed=1)
    rows["price"] += 5
    found = measure(rows)

    assert found["drift", "price"].status == "breach"
    assert "mean 9.944 in the reference, 14.86 now" in found["drift", "price"].reason
    assert found["drift", "stock"].status == "fine"
    assert found["drift_share", None].value == pytest.approx(1 / 3)
    assert "1 of 3 columns drifted: price" in found["drift_share", None].reason


@pytest.mark.parametrize("method", METHODS)
def test_every_method_sees_a_moved_column_and_leaves_a_steady_one(
    measure, make_pipeline, make_rows, method
):
    rows = make_rows(500, seed=1)
    rows["price"] += 6
    threshold = 0.001 if method == "ks" else 0.3
    if method == "jensenshannon":
        rows, threshold = rows.round(0), 0.3
    reference = make_rows(2_000).round(0) if method == "jensenshannon" else make_rows(2_000)
    found = measure(
        rows, reference=reference, pipeline=one_method(make_pipeline, method, threshold)
    )

    assert found["drift", "price"].status == "breach"
    assert found["drift", "stock"].status == "fine"
    assert found["drift", "price"].direction == DIRECTIONS[method]


def test_a_column_may_have_a_test_of_its_own(measure, make_pipeline, make_rows):
    own = {"columns": {"price": {"method": "ks", "threshold": 0.01}}}
    found = measure(make_rows(168, seed=1), pipeline=make_pipeline(monitor=own))

    assert (found["drift", "price"].method, found["drift", "price"].direction) == ("ks", "below")
    assert found["drift", "stock"].method == "wasserstein"


def test_half_a_column_turned_null_is_no_drift_but_a_breach_of_nulls(measure, make_rows):
    rows = make_rows(168, seed=1)
    rows.loc[::2, "price"] = np.nan
    found = measure(rows)

    assert found["drift", "price"].status == "fine"
    assert found["nulls", "price"].status == "breach"
    assert found["nulls", "price"].value == 0.5


@pytest.mark.parametrize("share", [0.05, 0.2, 0.6, 1.0])
def test_five_points_more_nulls_are_a_breach(measure, make_rows, share):
    rows = make_rows(200, seed=1)
    rows.loc[: int(200 * share) - 1, "stock"] = np.nan

    assert measure(rows)["nulls", "stock"].status == "breach"


def test_nulls_as_frequent_as_in_the_reference_are_no_breach(measure, make_rows):
    reference, rows = make_rows(2_000), make_rows(168, seed=1)
    reference.loc[::10, "price"] = np.nan
    rows.loc[::9, "price"] = np.nan

    assert measure(rows, reference=reference)["nulls", "price"].status == "fine"


def test_a_new_category_is_measured_apart_and_named(measure, make_rows):
    rows = make_rows(168, seed=1)
    rows.loc[:20, "town"] = "Jena"
    found = measure(rows)

    assert found["new_categories", "town"].status == "breach"
    assert "'Jena'" in found["new_categories", "town"].reason


@pytest.mark.parametrize("count", [0, 1, 5, 29])
def test_no_verdict_on_fewer_rows_than_the_least(measure, make_rows, count):
    rows = make_rows(60, seed=1)
    rows["price"] += 100
    found = measure(rows.iloc[:count])

    assert found["rows", None].status == "breach"
    assert found["drift", "price"].status == "cannot_tell"
    assert found["drift_share", None].status == "cannot_tell"
    assert found["drift_share", None].value is None


def test_just_enough_rows_are_judged(measure, make_rows):
    assert measure(make_rows(30, seed=1))["drift", "price"].status != "cannot_tell"


BROKEN = {
    "all null": [None] * 168,
    "all nan": np.full(168, np.nan),
    "constant": np.full(168, 10.0),
    "infinite": np.full(168, np.inf),
    "one infinity": [np.inf] + [10.0] * 167,
    "huge": np.full(168, 1e308),
    "text": ["dear"] * 168,
    "numbers as text": [str(i % 20) for i in range(168)],
    "booleans": [True, False] * 84,
    "categories": pd.Categorical(["a", "b"] * 84),
    "dates": pd.date_range("2026-01-01", periods=168, tz="UTC"),
    "nullable integers": pd.array([1, None] * 84, dtype="Int64"),
    "nullable text": pd.array(["a", None] * 84, dtype="string"),
    "mixed": [1, "a", None, 2.5] * 42,
    "lists": [[1]] * 168,
    "empty text": [""] * 168,
    "decimals of one value": [3] * 168,
}


@pytest.mark.parametrize("side", ["current", "reference"])
@pytest.mark.parametrize("column", ["price", "town"], ids=["number", "category"])
@pytest.mark.parametrize("values", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("method", ["wasserstein", "jensenshannon", "psi", "ks", "hellinger"])
def test_a_broken_column_is_a_measurement_and_hides_no_other(
    measure, make_pipeline, make_rows, values, column, side, method
):
    broken, sound = make_rows(168, seed=1, **{column: values}), make_rows(168, seed=2)
    sound["stock"] += 10
    if side == "reference":
        broken, sound = sound, broken
    before = broken.copy()
    found = measure(broken, reference=sound, pipeline=one_method(make_pipeline, method, 0.05))

    assert found["drift", "stock"].status == "breach"
    assert all(one.reason for one in found.values())
    assert all(one.value is None or np.isfinite(one.value) for one in found.values())
    pd.testing.assert_frame_equal(broken, before)


@pytest.mark.parametrize("name", ["all null", "infinite", "text"])
def test_a_number_without_usable_values_cannot_tell_and_breaches_nulls(measure, make_rows, name):
    found = measure(make_rows(168, seed=1, price=BROKEN[name]))

    assert found["drift", "price"].status == "cannot_tell"
    assert found["drift", "price"].reason == "0 usable values in the window, fewer than 30"
    assert found["nulls", "price"].status == "breach"


def test_an_absent_column_cannot_tell_and_breaches_nulls(measure, make_rows):
    found = measure(make_rows(168, seed=1).drop(columns="price"))

    assert found["drift", "price"].reason == "column price is absent in the window"
    assert found["nulls", "price"].status == "breach"
    assert found["drift", "stock"].status == "fine"


def test_a_column_that_stands_twice_cannot_tell(measure, make_rows):
    rows = make_rows(168, seed=1)
    found = measure(pd.concat([rows, rows[["price"]]], axis=1))

    assert found["drift", "price"].reason == "column price stands 2 times in the window"


def test_a_constant_column_that_stays_so_does_not_drift(measure, make_rows):
    found = measure(make_rows(168, price=5.0), reference=make_rows(2_000, price=5.0))

    assert found["drift", "price"].status == "fine"
    assert found["drift", "price"].value == 0


def test_a_test_for_numbers_on_a_category_says_what_to_use(measure, make_pipeline, make_rows):
    # A file that leaves the columns to the data cannot be checked when it is read.
    given = make_pipeline()
    own = given.monitor.model_copy(
        update={"columns": {"town": DriftTest(method="ks", threshold=0.05)}}
    )
    found = measure(make_rows(168, seed=1), pipeline=given.model_copy(update={"monitor": own}))

    assert found["drift", "town"].reason == (
        "ks compares numbers; use jensenshannon, psi or hellinger"
    )


def test_a_share_of_too_few_columns_cannot_tell(measure, make_rows):
    found = measure(make_rows(168, seed=1, price=np.nan, town=None))

    assert found["drift_share", None].status == "cannot_tell"
    assert found["drift_share", None].reason == "only 1 of 3 columns could be judged"


def test_a_failing_test_of_evidently_is_a_measurement(measure, make_rows, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("boom")

    monkeypatch.setattr("monitoring.drift.evidently_score", fail)
    found = measure(make_rows(168, seed=1))

    assert found["drift", "price"].status == "cannot_tell"
    assert found["drift", "price"].reason == "wasserstein failed: ZeroDivisionError: boom"


def test_many_rows_are_sampled_the_same_way_each_time(measure, make_rows):
    rows = make_rows(9_000, seed=1)
    first, again = measure(rows, most_rows=500), measure(rows, most_rows=500)

    assert first == again
    assert first["drift", "price"].rows == 9_000


@pytest.mark.parametrize("rows", [30, 60, 168])
def test_few_rows_like_the_reference_raise_no_alarm_whatever_the_size(measure, make_rows, rows):
    reference = make_rows(2_000)
    drifted = [
        measure(make_rows(rows, seed=seed), reference=reference)["drift_share", None].value > 0
        for seed in range(1, 201)
    ]
    threes = (drifted[i : i + 3] for i in range(len(drifted) - 2))
    twice = sum(three[-1] and any(three[:-1]) for three in threes)

    assert sum(drifted) <= 10  # 5 % of windows with any drifted column of three
    assert twice <= 2  # 1 % of windows in which two of three drifted, the newest among them


def test_what_chance_does_with_few_rows_is_said(measure, make_rows):
    reference = make_rows(2_000)
    raised = [
        one
        for seed in range(1, 60)
        for one in measure(make_rows(30, seed=seed), reference=reference).values()
        if one.name == "drift" and one.threshold > 0.3
    ]

    assert raised
    assert all("which chance reaches with 30 rows" in one.reason for one in raised)


def test_a_moved_column_is_seen_in_30_rows(measure, make_rows):
    rows = make_rows(30, seed=1)
    rows["price"] += 3

    assert measure(rows)["drift", "price"].status == "breach"
