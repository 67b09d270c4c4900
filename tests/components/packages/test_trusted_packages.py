"""A model of the user's own class: its state travels, its code never does."""

import hashlib
import json
from pathlib import Path

import pytest

from components.errors import PackageError, ParityError
from components.models.contract import InputContract
from components.models.fitting import fit
from components.models.trusted import Own, load_named
from components.packages.folders import read_manifest
from components.packages.golden import golden_rows
from components.packages.manifest import MANIFEST
from components.packages.parity import check_parity
from components.packages.scorer import load_package
from components.packages.trust import Trust
from components.packages.writing import write_package
from components.pipelines.learning import Trusted

MEAN = """
import numpy as np
from sklearn.linear_model import Ridge

class Mean:
    def fit(self, frame, target, sample_weight=None):
        self.mean = float(np.average(target))
        self.ridge = Ridge().fit(frame[["hour"]].fillna(0).clip(0, 24), target)

    def predict(self, frame):
        return (self.mean + self.ridge.predict(frame[["hour"]].fillna(0).clip(0, 24))) / 2
"""


def trust_of(code: Path, *contents: str, name: str = "Mean") -> Trust:
    """Write files into HOME/code, and trust them."""
    code.mkdir(exist_ok=True)
    named = []
    for number, content in enumerate(contents):
        (code / f"own{number}.py").write_text(content)
        digest = hashlib.sha256(content.encode()).hexdigest()
        named.append(Trusted(file=f"own{number}.py", name=name, sha256=digest))
    return Trust(code, tuple(named))


@pytest.fixture
def trust(tmp_path):
    return trust_of(tmp_path / "code", MEAN)


@pytest.fixture
def model(trust, rows):
    own = Own("mine", load_named(trust.folder, trust.named[0]))
    contract = InputContract((("hour", "number"),))
    target = rows["hour"] * 2
    return fit(rows, target, family="mine", contract=contract, task="regression", seed=1, own=own)


@pytest.fixture
def package(tmp_path, model, trust, rows):
    folder = tmp_path / "package"
    golden = golden_rows(rows, model.contract, seed=0)
    write_package(folder, model, golden=golden, reference=rows, about={}, trust=trust)
    return folder


def test_it_answers_as_the_model_did_here_and_in_a_fresh_process(package, model, trust, rows):
    opened = load_package(package, trust=trust)
    opened.probe()
    assert (opened.predict(rows).values == model.predict(rows).values).all()
    parity = check_parity(package, model, golden_rows(rows, model.contract, seed=0), trust=trust)
    assert parity.ok, parity.reason


def test_the_manifest_names_file_class_and_digest_and_holds_no_code(package, trust):
    manifest = read_manifest(package)
    assert manifest.trusted == trust.named[0].model_dump()
    assert manifest.format == "skops"
    assert "class of the user's own" in manifest.reason
    assert not [file for file in package.iterdir() if b"np.average" in file.read_bytes()]


def test_without_trust_it_is_refused_and_nothing_runs(package):
    with pytest.raises(PackageError, match=r"Mean of code/own0\.py .* does not trust"):
        load_package(package)


def test_without_the_file_it_is_refused(package, trust):
    (trust.folder / "own0.py").unlink()
    with pytest.raises(PackageError, match=r"needs Mean of code/own0\.py: .*cannot be read"):
        load_package(package, trust=trust)


def test_a_changed_file_is_refused_and_not_run(package, trust, tmp_path):
    mark = tmp_path / "was run"
    (trust.folder / "own0.py").write_text(f"open({str(mark)!r}, 'w')\n{MEAN}")
    with pytest.raises(PackageError, match="is not the file that is trusted"):
        load_package(package, trust=trust)
    assert not mark.exists()


def test_a_changed_file_that_is_trusted_now_does_not_open_a_package_of_before(package, tmp_path):
    changed = trust_of(tmp_path / "code", MEAN + "# better\n")
    with pytest.raises(PackageError, match="Keep that file beside a changed one"):
        load_package(package, trust=changed)
    both = trust_of(tmp_path / "code", MEAN, MEAN + "# better\n")
    load_package(package, trust=both).probe()


def test_a_package_cannot_ask_for_a_file_that_the_pipeline_file_does_not_name(
    package, trust, forge, tmp_path
):
    mark = tmp_path / "was run"
    content = f"open({str(mark)!r}, 'w')\n"
    (trust.folder / "other.py").write_text(content)
    digest = hashlib.sha256(content.encode()).hexdigest()
    asked = {"file": "other.py", "name": "Mean", "sha256": digest}
    forge(package, {}, trusted=asked)
    with pytest.raises(PackageError, match="does not trust"):
        load_package(package, trust=trust)
    assert not mark.exists()


def test_trust_in_a_class_opens_no_other_type(package, trust, forge):
    import os
    from functools import partial

    import skops.io

    forge(package, {"model.skops": skops.io.dumps(partial(os.system, "true"))})
    with pytest.raises(PackageError, match="not on the list"):
        load_package(package, trust=trust)


def test_a_model_of_a_class_that_is_not_trusted_is_not_packaged(tmp_path, model, rows):
    with pytest.raises(PackageError, match="Mean, which the pipeline file does not trust"):
        write_package(tmp_path / "p", model, golden=rows, reference=rows, about={})


def test_a_class_that_keeps_what_skops_cannot_is_refused_in_words(tmp_path, rows):
    body = MEAN.replace("self.mean =", "self.opened = compile('1', 'x', 'eval'); self.mean =")
    trust = trust_of(tmp_path / "code2", body)
    own = Own("mine", load_named(trust.folder, trust.named[0]))
    contract = InputContract((("hour", "number"),))
    target = rows["hour"] * 2
    model = fit(rows, target, family="mine", contract=contract, task="regression", seed=1, own=own)
    with pytest.raises(PackageError, match="mine cannot be kept"):
        write_package(tmp_path / "p", model, golden=rows, reference=rows, about={}, trust=trust)


def test_a_class_that_answers_otherwise_once_loaded_fails_the_probe(tmp_path, rows):
    body = MEAN.replace(
        "    def predict",
        "    def __getstate__(self):\n        return "
        "{'mean': 0.0, 'ridge': self.ridge}\n\n    def predict",
    )
    trust = trust_of(tmp_path / "code3", body)
    own = Own("mine", load_named(trust.folder, trust.named[0]))
    contract = InputContract((("hour", "number"),))
    target = rows["hour"] * 2
    model = fit(rows, target, family="mine", contract=contract, task="regression", seed=1, own=own)
    golden = golden_rows(rows, contract, seed=0)
    write_package(tmp_path / "p", model, golden=golden, reference=rows, about={}, trust=trust)
    with pytest.raises(ParityError, match="does not answer as it did"):
        load_package(tmp_path / "p", trust=trust).probe()


def test_two_equal_fits_have_the_same_digest(tmp_path, package, model, trust, rows):
    golden = golden_rows(rows, model.contract, seed=0)
    again = fit(
        rows,
        rows["hour"] * 2,
        family="mine",
        contract=model.contract,
        task="regression",
        seed=1,
        own=Own("mine", load_named(trust.folder, trust.named[0])),
    )
    write_package(tmp_path / "b", again, golden=golden, reference=rows, about={}, trust=trust)
    stated = [json.loads((p / MANIFEST).read_text()) for p in (package, tmp_path / "b")]
    assert stated[0]["digest"] == stated[1]["digest"]
