"""A backtest as a person reads it: one line a policy, what each said, and which to take."""

from typing import Any

from rich.console import Console

from driftwheel.output import aligned, hang, in_words, wrapped

_COUNTS = {
    "fits": "retrainings",
    "promoted": "promotions",
    "refused": "refusals",
    "wait": "waits",
}


def print_backtest(console: Console, document: dict[str, Any]) -> None:
    """Print the policies of a backtest, the best first, and the recommendation."""
    lower = document["lower_is_better"]
    for line in wrapped(
        f"{document['pipeline']}: {document['metric']} ({'lower' if lower else 'higher'} is "
        f"better), {in_words(document['from'])} to {in_words(document['to'])}, "
        f"{document['rows_scored']} rows",
        console.width,
    ):
        console.print(line, style="bold", markup=False, soft_wrap=True)
    console.print()
    ranked = sorted(
        document["policies"].items(), key=lambda item: item[1]["score"] * (1 if lower else -1)
    )
    _print_table(console, document["metric"], ranked)
    console.print()
    for text, row in ranked:
        for said in _remarks(document, row):
            hang(console, f"{text}: ", said)
    for said in _common(document):
        hang(console, "", said)
    if len(ranked) > 1:
        hang(
            console,
            "Recommended: ",
            f"{document['recommended']}; {document['recommended_because']}",
            style="bold",
        )


def _print_table(console: Console, metric: str, ranked: list[tuple[str, dict[str, Any]]]) -> None:
    """Print a line a policy; where that is too wide, its name stands above its numbers."""
    head = ["policy", metric, "95 % interval", *_COUNTS, "fit s"]
    rows = [[text, *_cells(row)] for text, row in ranked]
    lines = aligned(head, rows)
    if max(map(len, lines)) <= console.width:
        shown = lines
    else:
        head_line, *numbers = aligned(["", *head[1:]], [["", *row[1:]] for row in rows])
        shown = [head_line, *(line for row, n in zip(rows, numbers, strict=True)
                              for line in (row[0], n))]  # fmt: skip
    for place, line in enumerate(shown):
        console.print(line, style=None if place else "bold", markup=False, soft_wrap=True)


def _cells(row: dict[str, Any]) -> list[str]:
    low, high = row["score_ci"]
    counts = [str(row[field]) for field in _COUNTS.values()]
    return [
        f"{row['score']:.4g}", f"{low:.4g} … {high:.4g}", *counts, f"{row['train_seconds']:.1f}"
    ]  # fmt: skip


def _remarks(document: dict[str, Any], row: dict[str, Any]) -> list[str]:
    """Say what the numbers of one policy do not: who answered, and alarms that were false."""
    said = []
    if row["rows_by_naive"]:
        until = row["first_promotion"] or document["to"]
        ended = "" if row["first_promotion"] else ", the end: no model ever took charge"
        said.append(
            f"no model was in charge from {in_words(document['from'])} to {in_words(until)}"
            f"{ended}; the naive baseline answered {row['rows_by_naive']} of "
            f"{row['rows_scored']} rows"
        )
        said += _first_words(row)
    if row["false_alarms"]:
        said.append(f"{row['false_alarms']} false alarms: their challenger was refused")
    return said


def _first_words(row: dict[str, Any]) -> list[str]:
    """Say what the first training came to, where it gave no model."""
    told = (one for one in row["timeline"] if one["event"] not in ("", "data_fault"))
    first = next(told, None) or next((one for one in row["timeline"] if one["event"]), None)
    if first is None or first["event"] == "promoted":
        return []
    return [f"the first training, {in_words(first['at'])}: {first['event']}: {first['reason']}"]


def _common(document: dict[str, Any]) -> list[str]:
    """Say what holds for every policy."""
    most = max(row["data_faults"] for row in document["policies"].values())
    several = f"{most} data faults were" if most > 1 else "1 data fault was"
    said = f"{several} found on the way and set aside; --json tells them in each timeline"
    return [said] if most else []
