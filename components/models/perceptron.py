"""Fit the network's layers with torch: seeded, on one thread, stopped early."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from components.models.contract import Array
from components.models.network import Layers
from components.models.protocol import Target
from components.pipelines.spec import Task

# One row in seven is kept aside to tell when to stop.
ASIDE = 1 / 7
# Steps a pass, as long as the batches stay within these bounds.
STEPS = 24
SMALLEST_BATCH, LARGEST_BATCH = 64, 2048
# A million rows are not passed over forty times: half a minute is enough.
MOST_STEPS = 2_500
# One word in fifty is hidden, so that the unknown word has learnt something.
HIDDEN_WORDS = 0.02
WIDEST_EMBEDDING = 8


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long, and how fast, the layers learn; see :class:`components.models.network.Network`."""

    learning_rate: float
    epochs: int
    patience: int
    decay: float


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Training rows as tensors: numbers (n, m), codes (n, c), target (n,)."""

    numbers: Tensor
    codes: Tensor
    target: Tensor

    def at(self, places: Tensor) -> "_Rows":
        return _Rows(self.numbers[places], self.codes[places], self.target[places])


class _Perceptron(nn.Module):
    def __init__(self, numbers: int, words: Sequence[int], hidden: int, scores: int) -> None:
        super().__init__()
        sizes = [min(WIDEST_EMBEDDING, count) for count in words]
        self.embeddings = nn.ModuleList(
            nn.Embedding(count, size) for count, size in zip(words, sizes, strict=True)
        )
        self.layers = nn.ModuleList(
            nn.Linear(wide, narrow)
            for wide, narrow in ((numbers + sum(sizes), hidden), (hidden, hidden), (hidden, scores))
        )

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        words = [table(codes[:, place]) for place, table in enumerate(self.embeddings)]
        rows = torch.cat([numbers, *words], dim=1)
        for depth, layer in enumerate(self.layers):
            rows = layer(torch.relu(rows) if depth else rows)
        return rows

    def as_arrays(self) -> Layers:
        tensors = {name: value.numpy().copy() for name, value in self.state_dict().items()}
        depth = range(len(self.layers))
        return Layers(
            embeddings=tuple(
                tensors[f"embeddings.{place}.weight"] for place in range(len(self.embeddings))
            ),
            weights=tuple(
                np.ascontiguousarray(tensors[f"layers.{place}.weight"].T) for place in depth
            ),
            biases=tuple(tensors[f"layers.{place}.bias"] for place in depth),
        )


def train_layers(
    numbers: Array,
    codes: Array,
    target: Target,
    *,
    words: Sequence[int],
    scores: int,
    task: Task,
    hidden: int,
    schedule: Schedule,
    seed: int,
) -> Layers:
    """Fit the layers.

    Parameters
    ----------
    numbers : ndarray of shape (n, m)
        Spread numbers, from 0 to 1.
    codes : ndarray of shape (n, n_categories)
        int64.
    target : ndarray of shape (n,)
        Standardised values, or class indices.
    words : sequence of int
        How many codes each category has.
    scores : int
        Outputs of the last layer.
    task : {"regression", "binary", "multiclass"}
        Decides the loss.
    hidden : int
        Units of the two hidden layers.
    schedule : Schedule
        How long, and how fast.
    seed : int
        For the weights at the start, the rows kept aside and their order.

    """
    with _alone(seed):
        rows = _Rows(
            torch.from_numpy(numbers.astype(np.float32)),
            torch.from_numpy(codes),
            torch.from_numpy(target.astype(np.int64 if task == "multiclass" else np.float32)),
        )
        with warnings.catch_warnings():
            # Columns that never change have no bins; the first layer is then its bias alone.
            warnings.filterwarnings("ignore", message="Initializing zero-element tensors")
            perceptron = _Perceptron(numbers.shape[1], words, hidden, scores)
        _descend(perceptron, rows, _loss(task), schedule)
        return perceptron.as_arrays()


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """Seed torch and hold it to one thread; leave the process as it was."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def _loss(task: Task) -> nn.Module:
    if task == "multiclass":
        return nn.CrossEntropyLoss()
    return nn.BCEWithLogitsLoss() if task == "binary" else nn.SmoothL1Loss(beta=0.2)


def _descend(perceptron: _Perceptron, rows: _Rows, loss: nn.Module, schedule: Schedule) -> None:
    """Fit in place; keeps the weights that did best on the rows kept aside."""
    order = torch.randperm(len(rows.target))
    aside = rows.at(order[: max(1, round(len(order) * ASIDE))])
    kept = rows.at(order[len(aside.target) :])
    size = min(LARGEST_BATCH, max(SMALLEST_BATCH, len(kept.target) // STEPS))
    epochs = max(1, min(schedule.epochs, MOST_STEPS * size // len(kept.target)))
    descent = torch.optim.AdamW(
        perceptron.parameters(), lr=schedule.learning_rate, weight_decay=schedule.decay, fused=True
    )
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(descent, T_max=epochs)
    best, best_state, since = float("inf"), perceptron.state_dict(), 0
    for _ in range(epochs):
        for places in torch.split(torch.randperm(len(kept.target)), size):
            _step(perceptron, kept.at(places), loss, descent)
        slower.step()
        reached = _measure(perceptron, aside, loss)
        since += 1
        if reached < best:
            best, since = reached, 0
            best_state = {name: value.clone() for name, value in perceptron.state_dict().items()}
        if since >= schedule.patience:
            break
    perceptron.load_state_dict(best_state)


def _step(
    perceptron: _Perceptron, rows: _Rows, loss: nn.Module, descent: torch.optim.Optimizer
) -> None:
    shown = torch.rand(rows.codes.shape) >= HIDDEN_WORDS
    descent.zero_grad()
    wrong = loss(_squeezed(perceptron(rows.numbers, rows.codes * shown)), rows.target)
    wrong.backward()
    descent.step()


def _measure(perceptron: _Perceptron, rows: _Rows, loss: nn.Module) -> float:
    with torch.no_grad():
        return float(loss(_squeezed(perceptron(rows.numbers, rows.codes)), rows.target))


def _squeezed(scores: Tensor) -> Tensor:
    """One score a row loses its axis, as its target has none."""
    return scores[:, 0] if scores.shape[1] == 1 else scores
