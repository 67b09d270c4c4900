"""The parts of a model card that say what was found on rows later than those learnt from."""

from collections.abc import Iterator, Mapping
from typing import Any

from monitoring.markdown import UNKNOWN, between, moment, number, percent, table, words

Found = Mapping[str, Any]
"""An evaluation as it is kept with its run: what `Examination.to_dict` in flows.steps gives."""

_MOST_TRIALS, _MOST_FEATURES, _MOST_SLICES = 10, 20, 20
_SURE = 0.05


def quality(found: Found) -> Iterator[str]:
    """Write every measure beside the rival's and the naive baseline's; flips; learning curve."""
    yield (
        f"{number(found['rows'])} held-out rows, events from {moment(found['from'])} to "
        f"{moment(found['until'])} UTC. Intervals are at 95 %, over stretches of time."
    )
    yield ""
    measures = found["measures"]
    sides = {side: {one["name"]: one for one in measures[side]} for side in measures}
    naive = f"naive ({words(found['naive'])})"
    names = dict.fromkeys((*sides["model"], *sides["rival"]))  # only one may have intervals
    yield from table(
        ["measure", "this", "95 % interval", "rival", "95 % interval", naive, "rows"],
        (
            [
                name.replace("_", " "),
                *_of_side(sides["model"].get(name)),
                *_of_side(sides["rival"].get(name)),
                number(sides["naive"].get(name, {}).get("value")),
                number((sides["model"].get(name) or sides["rival"][name])["rows"]),
            ]
            for name in names
        ),
    )
    yield ""
    turned = found["flips"]
    yield (
        f"Against its rival {percent(turned['negative']['mean'])} of the answers turned from right "
        f"to wrong, {percent(turned['positive']['mean'])} from wrong to right"
        + (
            f" (by more than {number(turned['tolerance'])})."
            if turned["tolerance"] is not None
            else "."
        )
    )
    yield ""
    curve = found["curve"]
    yield f"Learning curve: {words(curve['said'])}." if curve else "It has no learning curve."


def _of_side(one: Mapping[str, Any] | None) -> tuple[str, str]:
    if one is None:
        return UNKNOWN, UNKNOWN
    return number(one["value"]), between(one["low"], one["high"])


def slices(found: Found) -> Iterator[str]:
    """Write the slices that the pipeline names, then those that the data showed."""
    rivals = {one["name"]: one["loss"]["mean"] for one in found["rival_slices"]}
    rows = [
        [
            words(one["name"]),
            origin,
            number(one["rows"]),
            number(one["loss"]["mean"]),
            between(one["loss"]["low"], one["loss"]["high"]),
            number(rivals.get(one["name"])),
            "**yes**" if one["chance"] is not None and one["chance"] <= _SURE else "no",
        ]
        for origin, parts in (("named", found["slices"]), ("found", found["found"]))
        for one in parts[:_MOST_SLICES]
    ]
    if not rows:
        yield "No slice is named in the pipeline file, and none was found."
        return
    yield f"Mean {words(found['loss'])} a row; worse than elsewhere at Holm's p up to {_SURE}."
    yield ""
    yield from table(
        ["part of the rows", "", "rows", "loss", "95 % interval", "rival", "surely worse"], rows
    )


def groups(found: Found) -> Iterator[str]:
    """Write the rates of the groups of each sensitive column."""
    if not found["fairness"]["model"]:
        yield "No column is named as `sensitive` in the pipeline file: groups were not compared."
        return
    before = {one["column"]: one["differences"] for one in found["fairness"]["rival"]}
    for place, column in enumerate(found["fairness"]["model"]):
        yield from [""] if place else []
        name, rates = words(column["column"]), list(column["differences"])
        lines = [
            [words(one["name"]), number(one["rows"]), *(number(one["rates"][r]) for r in rates)]
            for one in column["groups"]
        ]
        apart = [number(column["differences"][rate]) for rate in rates]
        lines.append(["**highest less lowest**", "", *apart])
        was = [number(before.get(column["column"], {}).get(rate)) for rate in rates]
        lines.append(["the same of the rival", "", *was])
        yield from table([name, "rows", *(rate.replace("_", " ") for rate in rates)], lines)


def importance(found: Found, kinds: Mapping[str, str]) -> Iterator[str]:
    """Write what each feature is worth, the dearest first.

    Parameters
    ----------
    kinds : mapping of str to str
        What the model reads, and of which kind.

    """
    worth = found["importance"][:_MOST_FEATURES]
    yield f"How much the {words(found['loss'])} rises once a feature is shuffled:"
    yield ""
    yield from table(
        ["feature", "kind", "rise", "95 % interval"],
        (
            [
                words(one["column"]),
                kinds.get(one["column"], UNKNOWN),
                number(one["rise"]),
                between(one["low"], one["high"]),
            ]
            for one in worth
        ),
    )
    if len(kinds) > len(worth):
        yield ""
        yield f"{len(worth)} of {len(kinds)} features are shown."


def candidates(found: Found) -> Iterator[str]:
    """Write what the search tried, the best first."""
    search = found["search"]
    if not search or not search["trials"]:
        yield "None was tried: the recipe is that of the model before, or there was no choice."
        return
    trials = search["trials"]
    best = sorted(
        trials, key=lambda one: (one["problem"] != "", one["loss"] is None, one["loss"] or 0.0)
    )
    counted = "1 recipe was tried" if len(trials) == 1 else f"{len(trials)} recipes were tried"
    yield f"{counted}, each judged on {len(search['folds']) or 'no'} later stretches of time."
    yield ""
    yield from table(
        ["recipe", "mean loss", ""],
        (
            [words(one["recipe"]), number(one["loss"]), words(one["problem"])]
            for one in best[:_MOST_TRIALS]
        ),
    )
    for note in search["said"]:
        yield ""
        yield f"{words(note)}."
