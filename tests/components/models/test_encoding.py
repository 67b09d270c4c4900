"""Words become codes, learnt once."""

import numpy as np
import pandas as pd

from components.models import InputContract
from components.models.encoding import LEAST_SEEN, MOST_WORDS, Encoding

CONTRACT = InputContract((("w", "category"), ("x", "number")))


def _inputs(words):
    return CONTRACT.prepare(pd.DataFrame({"w": words, "x": np.arange(float(len(words)))}))


def test_words_are_ordered_by_their_mean_target():
    inputs = _inputs(["high", "low", "mid"] * 10)
    encoding = Encoding.learn(inputs, np.array([9.0, 1.0, 5.0] * 10))
    assert encoding.words == (("w", ("low", "mid", "high")),)
    assert encoding.matrix(inputs)[:3].tolist() == [[0, 3], [1, 1], [2, 2]]


def test_words_alike_in_target_are_ordered_by_name():
    encoding = Encoding.learn(_inputs(["b", "c", "a"] * 10), np.zeros(30))
    assert encoding.words == (("w", ("a", "b", "c")),)


def test_rare_and_unknown_words_share_a_code():
    rare = ["rare"] * (LEAST_SEEN - 1)
    encoding = Encoding.learn(_inputs(["often"] * 20 + rare), np.zeros(20 + len(rare)))
    assert encoding.matrix(_inputs(["often", "rare", "new"]))[:, 1].tolist() == [1, 0, 0]


def test_only_the_commonest_words_keep_a_code():
    words = [f"w{place:04}" for place in range(MOST_WORDS + 50) for _ in range(LEAST_SEEN)]
    encoding = Encoding.learn(_inputs(["common"] * 9 + words), np.zeros(9 + len(words)))
    assert len(encoding.words[0][1]) == MOST_WORDS
    assert "common" in encoding.words[0][1]


def test_a_missing_word_is_a_word_like_any_other():
    encoding = Encoding.learn(_inputs([None, "a"] * 10), np.array([1.0, 0.0] * 10))
    assert encoding.words == (("w", ("a", "<missing>")),)


def test_one_hot_has_a_column_a_word_and_none_for_the_unknown():
    encoding = Encoding.learn(_inputs(["a", "b"] * 10), np.array([0.0, 1.0] * 10))
    spread = encoding.one_hot(encoding.matrix(_inputs(["b", "new", "a"])))
    assert spread.tolist() == [[0, 0, 1], [1, 0, 0], [2, 1, 0]]
