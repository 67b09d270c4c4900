"""The network is arrays: it leaves torch behind."""

import json

import numpy as np
import pytest
import torch

from components.models.bins import Bins
from components.models.network import NetworkModel


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_tensors_and_config_are_the_whole_model(task, fitted, hostile, contract):
    model = fitted("network", task).model
    config = json.loads(json.dumps(model.config()))
    again = NetworkModel.of_tensors(model.tensors(), config)
    inputs = contract.prepare(hostile(200))
    assert again.predict(inputs).tobytes() == model.predict(inputs).tobytes()
    assert again.to_onnx() == model.to_onnx()


def test_a_fit_leaves_torch_as_it_was(rows, labels, contract):
    from components.models.fitting import fit

    torch.manual_seed(11)
    before = (torch.get_num_threads(), torch.random.get_rng_state())
    frame = rows(100)
    target = labels(frame, "binary")
    fit(frame, target, family="network", contract=contract, task="binary", seed=0)
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])


def test_another_seed_gives_another_network(rows, labels, contract):
    from components.models.fitting import fit

    frame = rows(100)
    target = labels(frame, "regression")
    first, second = (
        fit(frame, target, family="network", contract=contract, task="regression", seed=seed)
        for seed in (0, 1)
    )
    assert not np.array_equal(first.predict(frame).values, second.predict(frame).values)


def test_a_bin_tells_how_far_a_number_has_come_through_it():
    bins = Bins.learn(np.array([[0.0], [1.0], [2.0]]))
    spread = bins.spread(np.array([[0.0], [0.5], [2.0]]))
    assert spread.sum(axis=1).tolist() == pytest.approx([0, spread.shape[1] / 4, spread.shape[1]])


def test_a_number_beyond_the_training_range_is_held_at_its_edge():
    bins = Bins.learn(np.array([[0.0], [1.0], [2.0]]))
    np.testing.assert_array_equal(bins.spread(np.array([[2.0]])), bins.spread(np.array([[1e9]])))


def test_a_missing_number_counts_as_the_median_and_says_so_where_the_fit_saw_one():
    bins = Bins.learn(np.array([[0.0, 0.0], [1.0, np.nan], [2.0, 2.0]]))
    missing, median = bins.spread(np.array([[np.nan, np.nan], [1.0, 1.0]]))
    assert missing[-1] == 1
    assert median[-1] == 0
    np.testing.assert_array_equal(missing[:-1], median[:-1])


def test_a_column_of_nothing_has_no_bins():
    assert Bins.learn(np.full((3, 1), np.nan)).spread(np.array([[5.0]])).tolist() == [[0.0]]
