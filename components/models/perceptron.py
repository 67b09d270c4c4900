"""Fit the network's layers with torch: seeded, stopped early, resumed after a kill.

On the CPU one thread adds, so that the same rows and seed give the same bytes. Many rows go to
a GPU where there is one, in bfloat16 where that is safe; chance is drawn on the CPU all the same.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from components.models.checkpoints import Checkpoint, Progress
from components.models.contract import Array
from components.models.network import Layers
from components.models.protocol import Objective, Target

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
# With fewer rows a step is too short to be worth the way to a GPU.
GPU_ROWS = 50_000
# From so many standard deviations on an error counts by its size, not by its square.
BEND = 0.2

LossOf = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long, and how fast, the layers learn; see :class:`components.models.network.Network`."""

    learning_rate: float
    epochs: int
    patience: int
    decay: float


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Training rows as tensors: numbers (n, m), codes (n, c), target (n,), weights (n,)."""

    numbers: Tensor
    codes: Tensor
    target: Tensor
    weights: Tensor

    def at(self, places: Tensor) -> "_Rows":
        here = places.to(self.target.device)
        return _Rows(self.numbers[here], self.codes[here], self.target[here], self.weights[here])

    def on(self, device: torch.device) -> "_Rows":
        each = (self.numbers, self.codes, self.target, self.weights)
        return _Rows(*(part.to(device) for part in each))


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
        tensors = {name: value.cpu().numpy().copy() for name, value in self.state_dict().items()}
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

    def start_from(self, layers: Layers) -> None:
        """Take over weights, of shapes as these layers have."""
        state: dict[str, Tensor] = {}
        for place, table in enumerate(layers.embeddings):
            state[f"embeddings.{place}.weight"] = torch.from_numpy(table.copy())
        for place, (weights, bias) in enumerate(zip(layers.weights, layers.biases, strict=True)):
            state[f"layers.{place}.weight"] = torch.from_numpy(weights.T.copy())
            state[f"layers.{place}.bias"] = torch.from_numpy(bias.copy())
        self.load_state_dict(state)


def train_layers(
    numbers: Array,
    codes: Array,
    target: Target,
    *,
    words: Sequence[int],
    scores: int,
    objective: Objective,
    hidden: int,
    schedule: Schedule,
    seed: int,
    weights: Array | None = None,
    start: Layers | None = None,
    checkpoints: Path | None = None,
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
    objective : Objective
        Decides the loss.
    hidden : int
        Units of the two hidden layers.
    schedule : Schedule
        How long, and how fast.
    seed : int
        For the weights at the start, the rows kept aside and their order.
    weights : ndarray of shape (n,), optional
        How much each row counts.
    start : Layers, optional
        Weights to go on from, instead of weights drawn by chance.
    checkpoints : Path, optional
        A folder that holds how far a fit has come, so that the same fit goes on there after a
        kill, to the same bytes; nothing of it is left at the end.

    """
    wide = np.ones(len(target)) if weights is None else weights
    given = (numbers.astype(np.float32), codes, target, wide.astype(np.float32))
    device = _device(len(target))
    kept = None
    if checkpoints is not None:
        begun = () if start is None else (*start.embeddings, *start.weights, *start.biases)
        settings = (str(objective), str(schedule), list(words), scores, hidden, seed, device.type)
        kept = Checkpoint.of(checkpoints, (*given, *begun), settings)
    with _alone(seed):
        rows = _Rows(
            torch.from_numpy(given[0]),
            torch.from_numpy(codes),
            torch.from_numpy(
                target.astype(np.int64 if objective.task == "multiclass" else np.float32)
            ),
            torch.from_numpy(given[3]),
        )
        with warnings.catch_warnings():
            # Columns that never change have no bins; the first layer is then its bias alone.
            warnings.filterwarnings("ignore", message="Initializing zero-element tensors")
            perceptron = _Perceptron(numbers.shape[1], words, hidden, scores)
        if start is not None:
            perceptron.start_from(start)
        _Descent(perceptron.to(device), rows.on(device), _loss(objective), schedule).run(kept)
        return perceptron.as_arrays()


def _device(rows: int) -> torch.device:
    return torch.device("cuda" if rows >= GPU_ROWS and torch.cuda.is_available() else "cpu")


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """Seed torch and hold it to one thread; leave the process as it was."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def _loss(objective: Objective) -> LossOf:
    """Give the loss of each row."""
    if objective.task == "multiclass":
        return nn.CrossEntropyLoss(reduction="none")
    if objective.task == "binary":
        return nn.BCEWithLogitsLoss(reduction="none")
    if objective.loss == "quantile":
        share = objective.quantile or 0.5
        return lambda given, true: torch.maximum(
            share * (true - given), (share - 1) * (true - given)
        )
    kinds: dict[str | None, LossOf] = {
        "squared": nn.MSELoss(reduction="none"),
        "absolute": nn.L1Loss(reduction="none"),
    }
    return kinds.get(objective.loss, nn.SmoothL1Loss(beta=BEND, reduction="none"))


class _Descent:
    """One fit in place; keeps the weights that did best on the rows kept aside."""

    def __init__(
        self, perceptron: _Perceptron, rows: _Rows, loss: LossOf, schedule: Schedule
    ) -> None:
        self.perceptron = perceptron
        self.loss = loss
        self.patience = schedule.patience
        order = torch.randperm(len(rows.target))
        held = max(1, round(len(order) * ASIDE))
        self.aside, self.kept = rows.at(order[:held]), rows.at(order[held:])
        count = len(self.kept.target)
        self.size = min(LARGEST_BATCH, max(SMALLEST_BATCH, count // STEPS))
        self.epochs = max(1, min(schedule.epochs, MOST_STEPS * self.size // count))
        self.steps = torch.optim.AdamW(
            perceptron.parameters(),
            lr=schedule.learning_rate,
            weight_decay=schedule.decay,
            fused=True,
        )
        self.slower = torch.optim.lr_scheduler.CosineAnnealingLR(self.steps, T_max=self.epochs)
        self.mixed = rows.target.device.type == "cuda"

    def run(self, checkpoint: Checkpoint | None) -> None:
        """Descend, from the last checkpoint on where there is one."""
        progress = Progress(best_state=_copied(self.perceptron))
        if checkpoint is not None:
            progress = checkpoint.resume(self.perceptron, self.steps, self.slower) or progress
        while progress.epoch < self.epochs and progress.since < self.patience:
            progress = self._epoch(progress)
            if checkpoint is not None:
                checkpoint.keep(progress, self.perceptron, self.steps, self.slower)
        self.perceptron.load_state_dict(progress.best_state)
        if checkpoint is not None:
            checkpoint.clear()

    def _epoch(self, before: Progress) -> Progress:
        for places in torch.split(torch.randperm(len(self.kept.target)), self.size):
            self._step(self.kept.at(places))
        self.slower.step()
        reached = self._measure(self.aside)
        if reached < before.best:
            return Progress(before.epoch + 1, reached, 0, _copied(self.perceptron))
        return Progress(before.epoch + 1, before.best, before.since + 1, before.best_state)

    def _step(self, rows: _Rows) -> None:
        shown = (torch.rand(rows.codes.shape) >= HIDDEN_WORDS).to(rows.codes.device)
        self.steps.zero_grad()
        torch.autograd.backward(self._mean_loss(rows, rows.codes * shown))
        self.steps.step()

    def _measure(self, rows: _Rows) -> float:
        with torch.no_grad():
            return float(self._mean_loss(rows, rows.codes))

    def _mean_loss(self, rows: _Rows, codes: Tensor) -> Tensor:
        # bfloat16 has float32's range: nothing has to be scaled against underflow.
        with torch.autocast(rows.target.device.type, torch.bfloat16, enabled=self.mixed):
            scores = self.perceptron(rows.numbers, codes)
        losses = self.loss(_squeezed(scores.float()), rows.target)
        return (losses * rows.weights).mean()


def _copied(perceptron: _Perceptron) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in perceptron.state_dict().items()}


def _squeezed(scores: Tensor) -> Tensor:
    """One score a row loses its axis, as its target has none."""
    return scores[:, 0] if scores.shape[1] == 1 else scores
