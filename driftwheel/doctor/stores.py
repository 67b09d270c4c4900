"""Pipelines, ledger, lake and MLflow; nothing is opened that does not exist yet."""

from collections.abc import Iterator
from pathlib import Path

from components.errors import DriftwheelError
from driftwheel.doctor.looking import Patient, Seen, fine, wrong
from flows.settings import Settings, hide_password

NOT_YET = "none yet; made on first use"


def ledger_exists(settings: Settings) -> bool:
    """Say whether there is a ledger to open; opening one makes it."""
    file = _file_of(settings.ledger_url)
    return file is None or file.exists()


def runs_exist(settings: Settings) -> bool:
    """Say whether there is an MLflow database, or a server named, to ask."""
    file = _file_of(settings.tracking_uri)
    return file is None or file.exists()


def _file_of(url: str) -> Path | None:
    """Give the file behind a SQLite URL; None for a server."""
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None


def pipelines(patient: Patient) -> Iterator[Seen]:
    """Read every pipeline file."""
    from components.pipelines import find_pipeline, read_pipeline

    names = patient.home.pipelines()
    for name in names:
        file = find_pipeline(name, patient.home.pipeline_folders)
        try:
            read_pipeline(file)
        except DriftwheelError as problem:
            yield wrong(str(problem), mend=f"edit {file}")
    yield fine(f"{len(names)} found: {', '.join(names) or 'none'}")


def ledger(patient: Patient) -> Iterator[Seen]:
    """Open the ledger."""
    if ledger_exists(patient.settings):
        yield fine(f"opens; {len(patient.home.ledger.decisions())} decisions")
    elif runs_exist(patient.settings) and not patient.settings.mlflow_tracking_uri:
        file = _file_of(patient.settings.ledger_url)
        yield wrong(
            f"{file} is missing, though MLflow's database of this home is there: a new ledger "
            "would not own the models in it",
            mend=f"cp BACKUP {file} (or begin anew: driftwheel --home EMPTY_DIR …)",
        )
    else:
        yield fine(NOT_YET)


def lake(patient: Patient) -> Iterator[Seen]:
    """Open the lake, and say which pipelines have tables in it."""
    names = patient.home.pipelines()
    held = [name for name in names if patient.home.lake.exists(name, "records")]
    yield fine(f"opens; holds {', '.join(held) or 'no pipeline yet'}")


def mlflow(patient: Patient) -> Iterator[Seen]:
    """Ask MLflow for a sign of life, and whether its paths are those of this home."""
    if not runs_exist(patient.settings):
        yield fine(NOT_YET)
    if not (ledger_exists(patient.settings) and runs_exist(patient.settings)):
        return  # the registry asks the ledger who we are, which would make one
    names = patient.home.pipelines()
    old = patient.home.registry.moved_from()
    if old is None:
        for name in names[:1]:
            patient.home.registry.aliases(name)
        yield fine(f"answers ({hide_password(patient.settings.tracking_uri)})")
    elif patient.mend:
        changed = patient.home.registry.mend_paths()
        yield fine(f"mended: {changed} paths that named {old}")
    else:
        yield wrong(
            f"this home was moved: MLflow's paths still name {old}", mend="driftwheel doctor --mend"
        )


def aliases(patient: Patient) -> Iterator[Seen]:
    """Compare MLflow's aliases with where the ledger put them."""
    if not (ledger_exists(patient.settings) and runs_exist(patient.settings)):
        return
    from flows.steps.aliases import moved_by_hand

    for name in patient.home.pipelines():
        if patient.home.ledger.champion(name) is None:
            continue
        moved = "; ".join(str(alias) for alias in moved_by_hand(patient.home, name))
        mend = f"driftwheel promote {name} --revert --reason … (or --version N, to keep it)"
        yield wrong(f"{name}: {moved}", mend=mend) if moved else fine(f"{name}: as the ledger says")
