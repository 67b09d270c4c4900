"""Turn a fitted model into a package that is proven to answer as the model did."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from components.errors import PackageError, ParityError
from components.failpoints import failpoint
from components.packages.golden import golden_rows
from components.packages.manifest import Manifest
from components.packages.parity import Parity, check_parity
from components.packages.trust import Trust
from components.packages.writing import write_package
from components.pipelines import Pipeline
from flows.steps.learnt import learnt_file, learnt_from
from flows.steps.snapshots import Snapshot
from flows.steps.training import Trained

if TYPE_CHECKING:
    from components.stores.registry import Registry, Run


@dataclass(frozen=True, slots=True)
class Packaged:
    """A package in the registry's keeping, checked as downloaded; not yet a version."""

    uri: str
    manifest: Manifest
    parity: Parity


def package(
    registry: "Registry",
    run: "Run",
    trained: Trained,
    pipeline: Pipeline,
    snapshot: Snapshot,
    *,
    role: str,
) -> Packaged:
    """Write, log, fetch back and check one package: ONNX, else a safe format with the reason.

    Raises
    ------
    ParityError
        If no format answers as the fitted model does.

    """
    golden = golden_rows(
        trained.rows[list(pipeline.inputs)], trained.fitted.contract, seed=pipeline.seed
    )
    learnt = learnt_from(trained.rows, snapshot, pipeline, salt=registry.owner)
    run.log_text(learnt.to_json(), learnt_file(role))
    about = _about(trained, pipeline, snapshot, role) | {"rows_digest": learnt.digest}
    refused = ""
    for _ in range(2):
        packaged = _attempt(registry, run, trained, pipeline, golden, about, refused)
        if packaged.parity.ok:
            return packaged
        if refused:
            break
        refused = f"ONNX answers otherwise: {packaged.parity.reason}"
    raise ParityError(
        f"{pipeline.name}: neither ONNX nor the fallback format answers as the fitted "
        f"{trained.recipe.family} does ({packaged.parity.reason}); the champion stays"
    )


def _attempt(
    registry: "Registry",
    run: "Run",
    trained: Trained,
    pipeline: Pipeline,
    golden: pd.DataFrame,
    about: dict[str, Any],
    refused: str,
) -> Packaged:
    with tempfile.TemporaryDirectory(prefix="driftwheel-") as work:
        folder = Path(work) / "package"
        reference, trust = trained.reference(pipeline), Trust.of(pipeline)
        manifest = write_package(
            folder,
            trained.fitted,
            golden=golden,
            reference=reference,
            about=about,
            onnx_refused=refused,
            trust=trust,
        )
        failpoint("after-manifest")
        uri = run.log_package(folder, reference.head(5))
        failpoint("after-model-files")
        fetched = registry.fetch(uri, Path(work) / "fetched")
        parity = check_parity(fetched, trained.fitted, golden, trust=trust)
        return Packaged(uri, manifest, parity)


def _about(trained: Trained, pipeline: Pipeline, snapshot: Snapshot, role: str) -> dict[str, Any]:
    """Say where a model comes from; nothing that differs between two equal fits."""
    return {
        "pipeline": pipeline.name,
        "role": role,
        "recipe": trained.recipe.as_dict(),
        "seed": pipeline.seed,
        "seen_until": trained.seen_until.isoformat(),
        "rows": len(trained.rows),
        "snapshot": snapshot.digest,
        "as_of": snapshot.as_of.isoformat(),
    }


def register(
    registry: "Registry",
    run: "Run",
    packaged: Packaged,
    pipeline: Pipeline,
    *,
    request_id: str,
    role: str,
    description: str,
) -> str:
    """Make a checked package a version, once per request and role.

    A worker that was killed after registering finds its version again by its tag.
    """
    made_for = f"{request_id}:{role}"
    found = registry.find_version(pipeline.name, "driftwheel.made_for", made_for)
    if found is not None:
        if (
            registry.version_tag(pipeline.name, found, "driftwheel.digest")
            == packaged.manifest.digest
        ):
            return found
        raise PackageError(
            f"{pipeline.name}: version {found} was registered for {made_for} with other bytes; "
            "the same request must give the same model. Look at code and data that changed since"
        )
    failpoint("before-version")
    version = registry.register(
        pipeline.name,
        packaged.uri,
        run.id,
        tags={
            "driftwheel.made_for": made_for,
            "driftwheel.digest": packaged.manifest.digest,
            "driftwheel.role": role,
            "driftwheel.request": request_id,
            "driftwheel.format": packaged.manifest.format,
            "driftwheel.rows": str(packaged.manifest.about["rows"]),
            "driftwheel.rows_digest": str(packaged.manifest.about["rows_digest"]),
        },
        description=description,
    )
    failpoint("after-version")
    return version
