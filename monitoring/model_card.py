"""A model card: what a version is, how good it is and for whom, and how it came to be in charge.

It is made of what ledger and registry keep, and of nothing else, so that it can be made again,
byte for byte. Every number of quality is that of the tested twin on rows later than those it
learnt from; what serves was refitted on those rows too, by the same recipe.

References
----------
Mitchell, Wu, Zaldivar, Barnes, Vasserman, Hutchinson, Spitzer, Raji, Gebru. Model cards for
model reporting. FAT* (2019).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.output import Output
from components.output.values import Reaches
from components.packages.manifest import Manifest
from components.recipes import Recipe
from monitoring import model_quality
from monitoring.markdown import UNKNOWN, between, moment, number, percent, table, words

_FEW_ROWS = 200
_COVERED = 0.95


@dataclass(frozen=True, slots=True)
class Facts:
    """What a card is made of, as it was read.

    Attributes
    ----------
    pipeline : str
    served, tested : str or None
        The version that takes charge, or would, and its tested twin.
    request : mapping
        ``id``, ``cause``, ``reason``, ``as_of`` of what had it trained.
    decisions : sequence of mapping
        Every decision on these versions, oldest first: ``as_of``, ``what``, ``who``, ``why``,
        ``numbers``.
    epochs : sequence of mapping
        Every time that either version was put in charge: ``epoch``, ``version``, ``as_of``.
    run : mapping
        Tags of the MLflow run.
    manifest : Manifest
        Of the package that serves; of the tested one where none does.
    size : int
        Bytes of that package.
    evaluation : mapping or None
        What was found on held-out rows, as :mod:`flows.steps.training_record` keeps it.

    """

    pipeline: str
    served: str | None
    tested: str | None
    request: Mapping[str, Any]
    decisions: Sequence[Mapping[str, Any]]
    epochs: Sequence[Mapping[str, Any]]
    run: Mapping[str, str]
    manifest: Manifest
    size: int
    evaluation: Mapping[str, Any] | None

    @property
    def version(self) -> str:
        """The version that the card is about."""
        return self.served or self.tested or UNKNOWN

    @property
    def numbers(self) -> Mapping[str, Any]:
        """The gate's numbers, of the newest decision that has any."""
        kept = [one["numbers"] for one in self.decisions if one["numbers"].get("rows")]
        return kept[-1] if kept else {}


def render_card(facts: Facts) -> str:
    """Write the card as Markdown; the same facts give the same bytes."""
    found = facts.evaluation
    parts: list[tuple[str, Iterator[str]]] = [("Decision", _decision(facts))]
    if found is None:
        nothing = "No rows were held out for it, or nothing was kept of them."
        parts.append(("Quality on later rows", iter([nothing])))
    else:
        parts += [
            ("Quality on later rows", model_quality.quality(found)),
            ("Where it is worse", model_quality.slices(found)),
            ("Groups", model_quality.groups(found)),
        ]
    parts += [
        ("Limits of use", (f"- {one}" for one in _limits(facts))),
        ("Answers", _answers(facts)),
        ("Features", _features(facts)),
    ]
    if found is not None:
        parts.append(("Candidates", model_quality.candidates(found)))
    parts += [("Data", _data(facts)), ("Package", _package(facts))]
    lines = [*_head(facts)]
    for title, part in parts:
        lines += ["", f"## {title}", "", *part]
    return "\n".join(lines) + "\n"


def short_card(facts: Facts) -> str:
    """Say in a line what a version is: its description in the registry."""
    about = f"{_recipe(facts)}; trained for {words(facts.request['cause'])}"
    if not facts.decisions:
        return about
    last = facts.decisions[-1]
    return f"{about}; {last['what']} by {words(last['who'])}: {words(last['why'])}"


def _recipe(facts: Facts) -> str:
    return words(Recipe.from_dict(facts.manifest.about["recipe"]))


def _head(facts: Facts) -> Iterator[str]:
    manifest, evaluation = facts.manifest, facts.evaluation or {}
    tested = "" if facts.served is None or facts.tested in {None, facts.served} else facts.tested
    yield f"# {facts.pipeline}, version {facts.version}"
    yield ""
    yield f"A {manifest.task} model that reads {len(manifest.contract)} features: {_recipe(facts)}."
    if tested:
        yield (
            f"Version {tested} is its tested twin: fitted without the newest rows, it answered "
            "them for the numbers below. This version was refitted on them too."
        )
    yield ""
    request = facts.request
    rows = [
        ("trained as of", f"{moment(request['as_of'])} UTC"),
        ("because of", f"{words(request['cause'])}: {words(request['reason'])}"),
        ("request", words(request["id"])),
        ("decision", words(facts.decisions[-1]["what"]) if facts.decisions else "not taken yet"),
        ("learnt from", f"{number(int(manifest.about['rows']))} rows"),
        ("newest event learnt from", f"{moment(manifest.about['seen_until'])} UTC"),
        ("judged by", words(evaluation.get("metric", UNKNOWN))),
    ]
    yield from table(["", ""], rows)


def _decision(facts: Facts) -> Iterator[str]:
    if not facts.decisions:
        yield "None was written: the training has not come to its end."
        return
    for one in facts.decisions:
        when = f"as of {moment(one['as_of'])} UTC, by {words(one['who'])}"
        yield f"- **{one['what']}** {when}: {words(one['why'])}"
    for one in facts.epochs:
        yield ""
        yield (
            f"Version {one['version']} took charge in epoch {one['epoch']}, as of "
            f"{moment(one['as_of'])} UTC."
        )
    yield from _gate(facts.numbers)


def _gate(numbers: Mapping[str, Any]) -> Iterator[str]:
    if not numbers:
        return
    yield ""
    yield (
        f"The gate compared it with {words(numbers['rival'])} on {number(numbers['rows'])} rows in "
        f"{numbers['blocks']} blocks of time:"
    )
    yield ""
    shares = (
        ("gain (fall of the loss)", "gain"),
        ("surely above", "gain_low"),
        ("surely below", "gain_high"),
        ("margin", "margin"),
        ("error level", "level"),
        ("smallest gain these rows could show", "smallest_visible_gain"),
    )
    yield from table(
        ["loss of the rival", "loss of this", *(name for name, _ in shares)],
        [
            [
                number(numbers.get("champion_loss")),
                number(numbers.get("challenger_loss")),
                *(percent(numbers.get(key)) for _, key in shares),
            ]
        ],
    )
    limits = numbers.get("limits") or ()
    if limits:
        yield ""
        yield from table(
            ["must not be lost", "rival", "this", "lost", "in words"],
            (
                [
                    words(one["name"]),
                    number(one["champion"]),
                    number(one["challenger"]),
                    "**yes**" if one["lost"] else "no",
                    words(one["sentence"]),
                ]
                for one in limits
            ),
        )


def _limits(facts: Facts) -> Iterator[str]:
    yield f"It knows nothing of events after {moment(facts.manifest.about['seen_until'])} UTC."
    yield from (words(note) for note in Output.from_dict(facts.manifest.output).notes)
    found = facts.evaluation
    if found is None:
        yield "Nothing is known of its quality beyond what the decision says."
        return
    if found["rows"] < _FEW_ROWS:
        yield f"Judged on {found['rows']} rows only: every number here is rough."
    coverage = found["coverage"]
    if coverage["covered"] is not None:
        yield (
            f"{percent(coverage['covered'])} of the held-out rows lie where training rows lie; "
            "elsewhere it guesses."
        )
    for name, share in coverage["columns"].items():
        if share < _COVERED:
            yield f"Of {words(name)}, {percent(1 - share)} of the values were not trained on."
    for column in found["fairness"]["model"]:
        if column["too_small"]:
            small = ", ".join(map(words, column["too_small"]))
            yield f"Too few rows to say anything of {words(column['column'])}: {small}."


def _answers(facts: Facts) -> Iterator[str]:
    output = Output.from_dict(facts.manifest.output)
    calibration, threshold, bounds = output.calibration, output.threshold, output.conformal
    if facts.manifest.task != "regression":
        kind = "as fitted" if calibration is None else f"by {type(calibration).__name__.lower()}"
        yield f"- Classes: {', '.join(map(words, facts.manifest.classes))}."
        yield f"- Probabilities: {kind}."
        if threshold is None:
            yield "- Said is the likeliest class."
        else:
            yield (
                f"- {words(facts.manifest.classes[-1])} is said from a probability of "
                f"{number(threshold.value)} on, chosen by {threshold.chosen_by} on "
                f"{number(threshold.rows)} rows: precision {number(threshold.precision)}, recall "
                f"{number(threshold.recall)}"
                f"{'' if threshold.reached else '; what was asked for was not reached'}."
            )
    if bounds is None:
        yield "- No intervals or sets."
    elif isinstance(bounds, Reaches):
        least, most = min(bounds.reach), max(bounds.reach)
        reach = number(most) if least == most else between(least, most)
        yield (
            f"- Intervals that hold the truth {percent(bounds.coverage)} of the time, learnt on "
            f"{number(sum(bounds.rows))} rows; they reach {reach} to either side."
        )
    else:
        yield (
            f"- Sets of classes that hold the truth {percent(bounds.coverage)} of the time, learnt "
            f"on {number(sum(bounds.rows))} rows."
        )


def _features(facts: Facts) -> Iterator[str]:
    manifest, found = facts.manifest, facts.evaluation
    kinds = dict(manifest.contract)
    if found is None:
        yield from table(["feature", "kind"], ([words(name), kinds[name]] for name in kinds))
    else:
        yield from model_quality.importance(found, kinds)
    reasons = ((found or {}).get("search") or {}).get("dropped", {})
    for name in Recipe.from_dict(manifest.about["recipe"]).dropped:
        yield ""
        yield f"Not read: {words(name)} ({words(reasons.get(name, 'as in the model before'))})."


def _data(facts: Facts) -> Iterator[str]:
    run, about = facts.run, facts.manifest.about
    learnt = (facts.evaluation or {}).get("learnt")
    rows = [
        ("snapshot", words(run.get("driftwheel.snapshot", UNKNOWN))),
        ("digest of the snapshot", about.get("snapshot", UNKNOWN)),
        ("digest of the rows learnt from", about.get("rows_digest", UNKNOWN)),
        ("rows learnt from", number(int(about["rows"]))),
        ("training window", words(about["recipe"]["window"])),
        ("newest event learnt from", f"{moment(about['seen_until'])} UTC"),
    ]
    if learnt:
        stretch = f"{moment(learnt['from'])} to {moment(learnt['until'])} UTC"
        rows.append(("the tested twin's", f"{number(learnt['rows'])} rows, {stretch}"))
    rows.append(("set aside", words(run.get("driftwheel.set_aside", "nothing"))))
    yield from table(["", ""], rows)
    yield ""
    yield "The very rows can be had again:"
    yield ""
    yield f"    driftwheel snapshot {facts.pipeline} --version {facts.version} --to rows.parquet"


def _package(facts: Facts) -> Iterator[str]:
    manifest = facts.manifest
    made = ", ".join(f"{name} {number_}" for name, number_ in sorted(manifest.made_with.items()))
    yield from table(
        ["", ""],
        [
            (
                "format",
                f"{manifest.format}{f': {words(manifest.reason)}' if manifest.reason else ''}",
            ),
            ("size", f"{facts.size:,} bytes"),
            ("digest", manifest.digest),
            ("seed", str(manifest.about.get("seed", UNKNOWN))),
            ("made with", words(made)),
        ],
    )
    yield ""
    yield "This card is made of the ledger and the registry, and can be made again:"
    yield ""
    yield f"    driftwheel card {facts.pipeline} --version {facts.version}"
