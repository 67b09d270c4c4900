"""Estimators of the user's own: from a file under HOME/code, known by the file's digest.

A class has the methods of a scikit-learn estimator: ``fit(frame, target, sample_weight=None)``,
then ``predict(frame)`` or, for classes, ``predict_proba(frame)`` with the columns in the order
of ``sorted(set(target))``. The frame holds what the input contract gives: float32 with NaN, and
text with a sentinel for missing. It passes the same checks as a family of the house.
"""

import hashlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from components.errors import ConversionError, InvalidInputError, TrainingError
from components.models.contract import Array, Inputs
from components.models.protocol import Objective, Target
from components.pipelines import nearest
from components.pipelines.learning import Loss, Trusted
from components.pipelines.spec import Pipeline, Task

if TYPE_CHECKING:
    import onnx

_PREFIX = "driftwheel_trusted_"


def code_folder(pipeline: Pipeline) -> Path:
    """Say where the user's own code lies: HOME/code, beside HOME/pipelines."""
    return pipeline.file.parent.parent / "code"


def load_named(folder: Path, named: Trusted) -> Any:
    """Load a class or function from a file of the user's own, if it is the one trusted.

    The bytes are read once, compared with the digest, and these bytes are run: a file that is
    changed meanwhile runs nothing.

    Parameters
    ----------
    folder : Path
        HOME/code.
    named : Trusted
        File under the folder, name in it, and SHA-256 of the file.

    Raises
    ------
    InvalidInputError
        If the file is missing, a link or outside the folder, is not the one that is trusted,
        or does not hold the name.

    """
    content = _read(folder, named.file)
    digest = hashlib.sha256(content).hexdigest()
    if digest != named.sha256:
        raise InvalidInputError(
            f"code/{named.file} is not the file that is trusted: its SHA-256 is {digest}, the "
            f"pipeline file names {named.sha256}. Nothing of it was run. If the change is yours, "
            f"write sha256: {digest} under trusted"
        )
    module = _module(content, digest, named.file)
    if not callable(getattr(module, named.name, None)):
        known = [
            name
            for name, value in vars(module).items()
            if callable(value) and value.__module__ == module.__name__
        ]
        raise InvalidInputError(
            f"code/{named.file} has no class or function {named.name!r}"
            f"{nearest(named.name, known)} Known: {', '.join(known) or 'none'}."
        )
    return getattr(module, named.name)


def _read(folder: Path, name: str) -> bytes:
    """Read a file under a folder, following no link below it."""
    file = folder
    for part in Path(name).parts:
        file = file / part
        if part == ".." or file.is_symlink():
            raise InvalidInputError(
                f"trusted: code/{name} leads through a link or out of {folder}; put the file "
                "itself there"
            )
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as problem:
        raise InvalidInputError(
            f"trusted: code/{name} cannot be read ({problem.strerror}); put it into {folder}"
        ) from problem
    with os.fdopen(handle, "rb") as opened:
        return opened.read()


def _module(content: bytes, digest: str, name: str) -> ModuleType:
    """Run the bytes as a module of their own; once for the same bytes."""
    title = f"{_PREFIX}{digest[:16]}"
    if title in sys.modules:
        return sys.modules[title]
    module = ModuleType(title)
    module.__file__ = f"code/{name}"
    # Dataclasses and typing look their module up by name while it runs.
    sys.modules[title] = module
    try:
        exec(compile(content, f"code/{name}", "exec"), module.__dict__)  # noqa: S102 - the user's own code, known by its digest
    except BaseException as problem:
        del sys.modules[title]
        if isinstance(problem, KeyboardInterrupt):
            raise
        raise InvalidInputError(
            f"code/{name} fails when it is loaded: {type(problem).__name__}: {problem}"
        ) from problem
    return module


@dataclass(frozen=True, slots=True)
class Own:
    """A class of the user's own as a family; its settings are its own business."""

    family: str
    make: Callable[[], Any]

    @property
    def losses(self) -> tuple[Loss, ...]:
        """None that could be asked for: what it minimises is its own business."""
        return ()

    def fit(
        self,
        inputs: Inputs,
        target: Target,
        *,
        objective: Objective,
        seed: int,
        weights: Array | None = None,
    ) -> "OwnModel":
        """Fit prepared rows; numpy's own chance is seeded for it, and put back after."""
        own = self.make()
        frame, known = _frame(inputs), pd.Series(_named(target, objective.classes))
        given = {} if weights is None else {"sample_weight": weights}
        if given and "sample_weight" not in inspect.signature(own.fit).parameters:
            raise TrainingError(
                f"{self.family} takes no sample_weight in fit, which weights: needs; add it to the "
                "class, or leave weights out"
            )
        before = np.random.get_state()  # noqa: NPY002 - the user's code may draw from it
        np.random.seed(seed)  # noqa: NPY002 - as above
        try:
            own.fit(frame, known, **given)
        finally:
            np.random.set_state(before)  # noqa: NPY002 - as above
        return OwnModel(self.family, objective.task, objective.classes, own)

    def settings(self) -> dict[str, Any]:
        """Name no settings."""
        return {}


@dataclass(frozen=True, slots=True, eq=False)
class OwnModel:
    """A fitted estimator of the user's own."""

    family: str
    task: Task
    classes: tuple[str, ...]
    own: Any

    def predict(self, inputs: Inputs) -> Array:
        """Answer prepared rows: values of shape (n,), or probabilities of shape (n, k).

        Raises
        ------
        TrainingError
            If the class raises, or its answers are of another shape.

        """
        frame = _frame(inputs)
        asked = "predict" if self.task == "regression" else "predict_proba"
        wanted = (len(frame),) if self.task == "regression" else (len(frame), len(self.classes))
        try:
            output = np.asarray(getattr(self.own, asked)(frame), dtype=np.float64)
        except Exception as problem:
            raise TrainingError(
                f"{self.family}.{asked} failed on {len(frame)} rows: {type(problem).__name__}: "
                f"{problem}"
            ) from problem
        if output.shape != wanted:
            raise TrainingError(
                f"{self.family}.{asked} must answer {wanted} numbers. Got {output.shape}"
            )
        return output

    def to_onnx(self) -> "onnx.ModelProto":
        """Refuse: a class of the user's own has no graph."""
        raise ConversionError(
            f"{self.family} is a class of the user's own, which no ONNX graph can hold; it is "
            "loaded from HOME/code by its digest"
        )


def own_estimator(pipeline: Pipeline, family: str) -> Own | None:
    """Give the estimator behind a name under ``trusted``; None where the name is none of these.

    Raises
    ------
    InvalidInputError
        As :func:`load_named`; or if the name is of no class.

    """
    trusted: Mapping[str, Trusted] = pipeline.trusted
    if family not in trusted:
        return None
    found = load_named(code_folder(pipeline), trusted[family])
    if not (inspect.isclass(found) and hasattr(found, "fit")):
        raise InvalidInputError(
            f"candidates names {family}, but {trusted[family].name} in "
            f"code/{trusted[family].file} is no class with a method fit"
        )
    return Own(family, found)


def _frame(inputs: Inputs) -> pd.DataFrame:
    return pd.DataFrame({name: values[:, 0] for name, values in inputs.items()})


def _named(target: Target, classes: tuple[str, ...]) -> Array:
    """Give the user's class the names of classes, not our numbers for them."""
    return np.array(classes, dtype=object)[target] if classes else target
