"""The model card of a version: made of ledger and registry, kept with the run that trained it."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import DriftwheelError, StoreError, StoreUnreachableError
from components.packages.folders import read_manifest
from flows.steps.training_record import EVALUATION
from monitoring.model_card import Facts, render_card, short_card

if TYPE_CHECKING:
    from collections.abc import Callable

    from components.packages.manifest import Manifest
    from components.stores.ledger import Decision
    from components.stores.registry import Version
    from flows.steps.home import Home

CARD = "model_card.md"
_MARK = "card"
_NOTE = "mlflow.note.content"  # MLflow shows it as the description of a run


@dataclass(frozen=True, slots=True)
class Card:
    """A card as it reads today, and the copy that MLflow has of it.

    Attributes
    ----------
    pipeline, version, run_id : str
        The version that it is about, and the run that keeps it.
    text : str
        Markdown.
    kept : str or None
        What the run keeps; None where it keeps none.
    short : str
        The same in a line.
    versions : tuple of str
        The version and its tested twin.
    decision : str or None
        What was decided last.

    """

    pipeline: str
    version: str
    run_id: str
    text: str
    kept: str | None
    short: str
    versions: tuple[str, ...]
    decision: str | None


def make_card(home: "Home", pipeline: str, version: str) -> Card:
    """Make the card of a version anew; nothing is written.

    A version and its tested twin came of one training and share one card.

    Raises
    ------
    StoreError
        If there is no such version, it was not trained by Driftwheel, or ledger or registry
        cannot be read.
    PackageError
        If its package is not there any more, or not the one that was registered.

    """
    request_id = home.registry.version(pipeline, version).tags.get("driftwheel.request")
    request = None if request_id is None else home.ledger.find(request_id)
    if request is None:
        raise StoreError(
            f"version {version} of {pipeline} has no card: the ledger knows no training that made "
            "it. It came from elsewhere, or from another home"
        )
    twins = _of_request(home, pipeline, request.id)
    served, tested = twins.get("served"), twins.get("tested")
    about = served or tested or home.registry.version(pipeline, version)
    numbers = tuple(each.number for each in twins.values())
    promotions = home.ledger.promotions(pipeline)
    mine = {one.epoch for one in promotions if one.version in numbers}
    ended = {one.decision_id for one in promotions if one.rolled_back_epoch in mine}
    decisions = [
        one
        for one in home.ledger.decisions(pipeline)
        if one.request_id == request.id or one.served_version in numbers or one.id in ended
    ]
    run_id = next((one.mlflow_run_id for one in decisions if one.mlflow_run_id), about.run_id)
    found = home.registry.run_text(run_id, EVALUATION)
    manifest, size = _package(home, about)
    facts = Facts(
        pipeline=pipeline,
        served=served.number if served else None,
        tested=tested.number if tested else None,
        request={
            "id": request.id,
            "cause": request.cause,
            "reason": request.reason,
            "as_of": request.as_of,
        },
        decisions=[_decided(one, numbers) for one in decisions],
        epochs=[
            {"epoch": one.epoch, "version": one.version, "as_of": one.as_of}
            for one in promotions
            if one.epoch in mine
        ],
        run=home.registry.run_tags(run_id),
        manifest=manifest,
        size=size,
        evaluation=_read(found, run_id),
    )
    return Card(
        pipeline=pipeline,
        version=about.number,
        run_id=run_id,
        text=_rendered(facts, run_id),
        kept=home.registry.run_text(run_id, CARD),
        short=short_card(facts),
        versions=numbers,
        decision=facts.decisions[-1]["what"] if facts.decisions else None,
    )


def keep_card(home: "Home", card: Card) -> bool:
    """Keep a card with its run and describe its versions; False where the copy is the same."""
    if card.kept == card.text:
        return False
    for number in card.versions:
        home.registry.describe(card.pipeline, number, card.short)
    decided = {} if card.decision is None else {"driftwheel.decision": card.decision}
    home.registry.tag_run(card.run_id, {_NOTE: card.short, **decided})
    home.registry.keep_text(card.run_id, card.text, CARD)
    return True


def card_decisions(
    home: "Home", pipeline: str, *, told: "Callable[[str], None]" = lambda _: None
) -> int:
    """Write the cards of the decisions that came since the last time; give how many.

    Called after every decision and by `reconcile`: what a dead process left out is made up
    for. A card that cannot be made changes no decision; it is told, and tried again where the
    stores could not be reached. In a home from before there were cards, the newest decision is
    the first to have one.
    """
    mark, decisions = home.ledger.mark(pipeline, _MARK), home.ledger.decisions(pipeline)
    new = decisions[-1:] if mark is None else [one for one in decisions if one.id > int(mark)]
    written = 0
    for one in new:
        try:
            for version in _concerned(home, one):
                written += keep_card(home, make_card(home, pipeline, version))
        except StoreUnreachableError as problem:
            told(f"decided; the model card waits for the next reconcile: {problem}")
            break
        except DriftwheelError as problem:
            told(f"decided, without a model card: {problem}")
        home.ledger.set_mark(pipeline, _MARK, str(one.id))
    return written


def _concerned(home: "Home", decision: "Decision") -> list[str]:
    """Name the versions whose cards a decision changes: also the one it took out of charge."""
    promotions = {one.epoch: one for one in home.ledger.promotions(decision.pipeline)}
    ended = [
        promotions[one.rolled_back_epoch].version
        for one in promotions.values()
        if one.decision_id == decision.id and one.rolled_back_epoch is not None
    ]
    return [*filter(None, [decision.served_version or decision.tested_version]), *ended]


def _read(text: str | None, run_id: str) -> dict[str, Any] | None:
    try:
        return None if text is None else dict(json.loads(text))
    except ValueError as problem:
        raise _not_ours(run_id, problem) from problem


def _rendered(facts: Facts, run_id: str) -> str:
    try:
        return render_card(facts)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise _not_ours(run_id, problem) from problem


def _not_ours(run_id: str, problem: Exception) -> StoreError:
    return StoreError(
        f"{EVALUATION} of run {run_id} is not as it was written ({type(problem).__name__}: "
        f"{problem}), or was written by another Driftwheel; without it there is no card"
    )


def _of_request(home: "Home", pipeline: str, request_id: str) -> "dict[str, Version]":
    """Find the versions that a training made, by role."""
    return {
        each.tags.get("driftwheel.role", ""): each
        for each in home.registry.versions(pipeline)
        if each.tags.get("driftwheel.request") == request_id
    }


def _decided(decision: "Decision", numbers: tuple[str, ...]) -> dict[str, Any]:
    what: str = decision.what
    if what == "rolled_back":
        back = decision.served_version in numbers
        what = "put back in charge" if back else f"rolled back to version {decision.served_version}"
    return {
        "as_of": decision.as_of,
        "what": what,
        "who": decision.who,
        "why": decision.why,
        "numbers": dict(decision.numbers),
    }


def _package(home: "Home", version: "Version") -> "tuple[Manifest, int]":
    """Read the manifest of a version's package, and how many bytes the package has."""
    with tempfile.TemporaryDirectory(prefix="driftwheel-") as work:
        folder = home.registry.fetch(version.uri, Path(work))
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        return read_manifest(folder), size
