"""How far a network's fit has come, in one file that the same fit goes on from after a kill."""

import hashlib
import pickle
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from components.failpoints import failpoint
from components.models.contract import Array


@dataclass(frozen=True, slots=True)
class Progress:
    """Passes made, the best loss on the rows kept aside, and the passes since it was reached."""

    epoch: int = 0
    best: float = float("inf")
    since: int = 0
    best_state: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The file of one fit; its name is the digest of all that decides the fit.

    A fit of other rows, settings or seed, or by another torch, has another file. It holds
    tensors and plain values, and is read as such: nothing in it can be run.
    """

    file: Path

    @classmethod
    def of(cls, folder: Path, arrays: Sequence[Array], settings: Sequence[object]) -> Self:
        """Name the file of a fit by its arrays and settings."""
        digest = hashlib.sha256(f"{torch.__version__} {settings!r}".encode())
        for array in arrays:
            digest.update(f"{array.dtype} {array.shape} ".encode())
            digest.update(np.ascontiguousarray(array).data)
        return cls(folder / f"network-{digest.hexdigest()[:32]}.pt")

    def keep(self, progress: Progress, layers: nn.Module, steps: Any, slower: Any) -> None:
        """Write all of a fit's state, in one move."""
        state = {
            "progress": [progress.epoch, progress.best, progress.since],
            "best": progress.best_state,
            "layers": layers.state_dict(),
            "steps": steps.state_dict(),
            "slower": slower.state_dict(),
            "chance": torch.get_rng_state(),
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        draft = self.file.with_suffix(".part")
        torch.save(state, draft)
        draft.replace(self.file)
        failpoint("after-checkpoint")

    def resume(self, layers: nn.Module, steps: Any, slower: Any) -> Progress | None:
        """Put a fit back where it was; None where there is nothing to go on from.

        A file that cannot be read is no loss: the fit begins anew and comes to the same bytes.
        """
        if not self.file.exists():
            return None
        try:
            state = torch.load(self.file, weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, zipfile.BadZipFile):
            return None
        layers.load_state_dict(state["layers"])
        steps.load_state_dict(state["steps"])
        slower.load_state_dict(state["slower"])
        torch.set_rng_state(state["chance"])
        epoch, best, since = state["progress"]
        return Progress(epoch, best, since, state["best"])

    def clear(self) -> None:
        """Remove the file of a fit that came to its end."""
        self.file.unlink(missing_ok=True)
