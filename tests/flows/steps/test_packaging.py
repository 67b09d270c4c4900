"""A model of the user's own class serves, and is refused once the class is another."""

import hashlib

import pytest

from components.errors import PackageError
from components.pipelines.learning import Trusted
from flows.steps.rivals import open_rival
from flows.steps.scoring import score

STEADY = """
import numpy as np

class Steady:
    def fit(self, frame, target):
        rain = frame["weather"].eq("rain").to_numpy()
        design = np.column_stack([np.ones(len(frame)), frame["heat"].fillna(0), rain])
        self.weights = np.linalg.lstsq(design.astype(float), target.to_numpy(), rcond=None)[0]

    def predict(self, frame):
        rain = frame["weather"].eq("rain").to_numpy()
        design = np.column_stack([np.ones(len(frame)), frame["heat"].fillna(0), rain])
        return np.clip(design.astype(float) @ self.weights, -1e6, 1e6)
"""


def test_a_trusted_class_is_trained_promoted_and_answers_until_it_is_changed(care, day) -> None:
    file = care.home.root / "code" / "steady.py"
    file.parent.mkdir()
    file.write_text(STEADY)

    def named(content: str) -> Trusted:
        digest = hashlib.sha256(content.encode()).hexdigest()
        return Trusted(file="steady.py", name="Steady", sha256=digest)

    care.change(trusted={"steady": named(STEADY)}, candidates=("steady",))
    assert care.train(day(60)).what == "promoted"
    champion = open_rival(care.home, care.pipeline)
    assert champion.recipe is not None
    assert champion.recipe.family == "steady"
    care.ingest(day(61))
    assert score(care.home, care.pipeline, as_of=day(61)).rows > 0

    file.write_text(STEADY + "# better\n")
    care.ingest(day(62))
    with pytest.raises(PackageError, match="is not the file that is trusted"):
        score(care.home, care.pipeline, as_of=day(62))
    care.change(trusted={"steady": named(STEADY + "# better\n")})
    with pytest.raises(PackageError, match="Keep that file beside a changed one"):
        score(care.home, care.pipeline, as_of=day(62))
