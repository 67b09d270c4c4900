"""What a fit minimises, how much each row counts, and what it goes on from."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.errors import InvalidInputError, TrainingError
from components.models import FAMILIES, InputContract, estimator
from components.models.fitting import fit

ONE = InputContract((("x", "number"),))
ABLE = [(family, loss) for family in FAMILIES for loss in estimator(family).losses]
WARM = ["lightgbm", "network"]


@pytest.fixture(scope="module")
def skewed() -> tuple[pd.DataFrame, pd.Series]:
    """Make 600 counts whose mean lies far above their median, in two groups."""
    chance = np.random.default_rng(2)
    x = np.repeat([0.0, 1.0], 300)
    return pd.DataFrame({"x": x}), pd.Series(np.floor(chance.exponential(10 + 30 * x)))


def _onnx(model, frame, contract=ONE):
    import onnxruntime

    session = onnxruntime.InferenceSession(model.to_onnx().SerializeToString())
    return np.ravel(session.run(None, dict(contract.prepare(frame)))[0])


@pytest.mark.parametrize(("family", "loss"), ABLE)
def test_every_loss_answers_the_same_as_its_graph(family, loss, skewed):
    frame, target = skewed
    model = fit(
        frame,
        target,
        family=family,
        contract=ONE,
        task="regression",
        seed=0,
        loss=loss,
        quantile=0.8 if loss == "quantile" else None,
    ).model
    ours = model.predict(ONE.prepare(frame))
    assert np.all(np.abs(_onnx(model, frame) - ours) <= 1e-5 * np.maximum(1, np.abs(ours)))


@pytest.mark.parametrize(
    ("family", "loss", "wanted"),
    [
        ("forest", "absolute", 0.5),
        ("hist_boosting", "absolute", 0.5),
        ("lightgbm", "absolute", 0.5),
        ("network", "absolute", 0.5),
        ("hist_boosting", "quantile", 0.8),
        ("lightgbm", "quantile", 0.8),
        ("network", "quantile", 0.8),
    ],
)
def test_a_loss_moves_answers_to_what_it_asks_for(family, loss, wanted, skewed):
    frame, target = skewed
    given = {"loss": loss, "quantile": wanted if loss == "quantile" else None}
    model = fit(frame, target, family=family, contract=ONE, task="regression", seed=0, **given)
    below = (target <= model.predict(frame).values + 1e-9).groupby(frame["x"]).mean()
    np.testing.assert_allclose(below, wanted, atol=0.12 if family == "network" else 0.06)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_loss_that_a_family_has_not_is_refused_with_those_that_have_it(family, skewed):
    missing = {"huber", "quantile", "poisson"} - set(estimator(family).losses)
    frame, target = skewed
    for loss in missing:
        with pytest.raises(InvalidInputError, match=rf"{family} cannot minimise '{loss}'.* can: "):
            fit(frame, target, family=family, contract=ONE, task="regression", seed=0, loss=loss)


@pytest.mark.parametrize("task", ["regression", "binary"])
@pytest.mark.parametrize("family", FAMILIES)
def test_heavy_rows_decide(family, task):
    frame = pd.DataFrame({"x": np.tile([0.0, 1.0], 200)})
    heavy = np.repeat([True, False], 200)
    truth = np.where(heavy, frame["x"], 1 - frame["x"])
    target = pd.Series(truth * 10.0 if task == "regression" else np.where(truth > 0, "yes", "no"))
    weights = pd.Series(np.where(heavy, 1.0, 0.02))
    model = fit(frame, target, family=family, contract=ONE, task=task, seed=0, weights=weights)
    low, high = model.predict(pd.DataFrame({"x": [0.0, 1.0]})).values
    assert (low < 3 and high > 7) if task == "regression" else (low, high) == ("no", "yes")


@pytest.mark.parametrize("family", FAMILIES)
def test_equal_weights_change_nothing(family, rows, labels, contract):
    frame = rows(200)
    given = {"family": family, "contract": contract, "task": "regression", "seed": 0}
    target = labels(frame, "regression")
    plain = fit(frame, target, **given).predict(frame).values
    equal = fit(frame, target, **given, weights=pd.Series(7.0, index=frame.index))
    np.testing.assert_allclose(equal.predict(frame).values, plain, rtol=1e-4)


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize("family", WARM)
def test_a_warm_start_goes_on_from_the_earlier_model(family, task, rows, labels, contract):
    before, since = rows(400, 0), rows(400, 1)
    given = {"family": family, "contract": contract, "task": task, "seed": 0}
    earlier = fit(before, labels(before, task), **given)
    warm = fit(since, labels(since, task), **given, start=earlier.model)
    inputs = contract.prepare(since)
    assert warm.model.encoding == earlier.model.encoding
    assert not np.array_equal(warm.model.predict(inputs), earlier.model.predict(inputs))
    answers = np.ravel(_onnx(warm.model, since, contract))
    np.testing.assert_allclose(answers, np.ravel(warm.model.predict(inputs)), rtol=1e-5, atol=1e-5)


def test_a_warm_lightgbm_keeps_the_trees_it_goes_on_from(rows, labels, contract):
    frame = rows(400)
    given = {"family": "lightgbm", "contract": contract, "task": "regression", "seed": 0}
    earlier = fit(frame, labels(frame, "regression"), **given)
    warm = fit(frame, labels(frame, "regression"), **given, start=earlier.model)
    assert warm.model.text.count("\nTree=") == 150


def test_a_warm_start_needs_a_family_that_can_and_a_model_that_fits(rows, labels, contract):
    frame = rows(200)
    target = labels(frame, "regression")
    given = {"contract": contract, "task": "regression", "seed": 0}
    linear = fit(frame, target, family="linear", **given)
    with pytest.raises(InvalidInputError, match=r"linear cannot go on .* lightgbm, network can"):
        fit(frame, target, family="linear", **given, start=linear.model)
    with pytest.raises(TrainingError, match="same family"):
        fit(frame, target, family="lightgbm", **given, start=linear.model)
    boosted = fit(frame, target, family="lightgbm", **given)
    fewer = InputContract(contract.columns[:2])
    with pytest.raises(TrainingError, match="needs the same columns"):
        fit(
            frame,
            target,
            family="lightgbm",
            contract=fewer,
            task="regression",
            seed=0,
            start=boosted.model,
        )


KILLED = """
import sys, pickle
from pathlib import Path
from components.failpoints import arm
from components.models.fitting import fit

frame, target, contract = pickle.loads(Path(sys.argv[1]).read_bytes())
arm({"after-checkpoint": 5})
fit(frame, target, family="network", contract=contract, task="regression", seed=4,
    checkpoints=Path(sys.argv[2]))
"""


def test_a_killed_network_goes_on_to_the_same_bytes(rows, labels, contract, tmp_path):
    import pickle

    import components
    from components.models import perceptron

    frame = rows(300)
    target = labels(frame, "regression")
    given = {"family": "network", "contract": contract, "task": "regression", "seed": 4}
    whole = fit(frame, target, **given).model
    (tmp_path / "given").write_bytes(pickle.dumps((frame, target, contract)))
    command = [sys.executable, "-c", KILLED, str(tmp_path / "given"), str(tmp_path / "kept")]
    killed = subprocess.run(command, check=False, cwd=Path(components.__path__[0]).parent)
    assert killed.returncode == -9
    assert len(list((tmp_path / "kept").iterdir())) == 1
    epochs = []
    real = perceptron._Descent._epoch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(perceptron._Descent, "_epoch", lambda *a: (epochs.append(1), real(*a))[1])
        resumed = fit(frame, target, **given, checkpoints=tmp_path / "kept").model
    assert len(epochs) <= 35
    ours, theirs = whole.tensors(), resumed.tensors()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours | theirs)
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_fit_of_other_rows_or_settings_has_a_checkpoint_of_its_own(tmp_path):
    from components.models.checkpoints import Checkpoint

    rows = np.arange(6.0)
    names = {
        Checkpoint.of(tmp_path, [rows], ["seed 0"]).file,
        Checkpoint.of(tmp_path, [rows + 1], ["seed 0"]).file,
        Checkpoint.of(tmp_path, [rows], ["seed 1"]).file,
        Checkpoint.of(tmp_path, [rows.reshape(2, 3)], ["seed 0"]).file,
    }
    assert len(names) == 4
    assert Checkpoint.of(tmp_path, [rows], ["seed 0"]).file in names


@pytest.mark.parametrize("broken", [b"", b"no checkpoint", b"PK\x03\x04 cut off"], ids=repr)
def test_a_broken_checkpoint_costs_nothing_but_its_time(rows, labels, contract, tmp_path, broken):
    from components.models.checkpoints import Checkpoint

    frame = rows(100)
    target = labels(frame, "regression")
    given = {"family": "network", "contract": contract, "task": "regression", "seed": 4}
    whole = fit(frame, target, **given).predict(frame).values
    with pytest.MonkeyPatch.context() as patch:
        file = tmp_path / "broken.pt"
        file.write_bytes(broken)
        patch.setattr(Checkpoint, "of", classmethod(lambda cls, *_: cls(file)))
        again = fit(frame, target, **given, checkpoints=tmp_path).predict(frame).values
    assert np.array_equal(whole, again)
