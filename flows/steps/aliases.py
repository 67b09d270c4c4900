"""MLflow's aliases follow the ledger; one moved by hand is reported, never overwritten."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filelock import FileLock

if TYPE_CHECKING:
    from flows.steps.home import Home

_MARK = "alias:"
_ON_THE_WAY = ">"
NAMES = ("champion", "challenger", "previous")


@dataclass(frozen=True, slots=True)
class MovedAlias:
    """An alias that somebody moved in MLflow: where it points, where we had put it."""

    name: str
    found: str | None
    ours: str | None

    def __str__(self) -> str:
        return (
            f"alias {self.name!r} was moved by hand to version {self.found or 'nothing'} "
            f"(the ledger says {self.ours or 'nothing'})"
        )


def moved_by_hand(home: "Home", pipeline: str) -> list[MovedAlias]:
    """Find aliases that no longer point where this home last put them."""
    return _moved(home, pipeline, home.registry.aliases(pipeline))


def _moved(home: "Home", pipeline: str, found: Mapping[str, str]) -> list[MovedAlias]:
    wanted = _wanted(home, pipeline)
    ours = {name: {*_put(home, pipeline, name), wanted[name]} for name in NAMES}
    return [
        MovedAlias(name, found.get(name), wanted[name])
        for name in NAMES
        if found.get(name) not in ours[name]
    ]


def copy_aliases(home: "Home", pipeline: str, *, by_hand: bool = False) -> list[MovedAlias]:
    """Point MLflow's aliases where the ledger says.

    Parameters
    ----------
    by_hand : bool
        A person settles it: what was moved is overwritten too.

    Returns
    -------
    list of MovedAlias
        Those that somebody moved; they were left alone unless `by_hand`.

    """
    home.root.mkdir(parents=True, exist_ok=True)
    # One at a time: a promotion and the scheduled reconcile may come together.
    with FileLock(home.root / "aliases.lock"):
        return _copy(home, pipeline, by_hand=by_hand)


def _copy(home: "Home", pipeline: str, *, by_hand: bool) -> list[MovedAlias]:
    found = home.registry.aliases(pipeline)
    moved = [] if by_hand else _moved(home, pipeline, found)
    wanted = _wanted(home, pipeline)
    kept = {alias.name for alias in moved}
    pointed = {name: version for name, version in wanted.items() if name not in kept}
    for name, version in pointed.items():
        if found.get(name) != version:
            # Should this process die on the way, either place is ours, not somebody's move.
            on_the_way = f"{found.get(name) or ''}{_ON_THE_WAY}{version or ''}"
            home.ledger.set_mark(pipeline, _MARK + name, on_the_way)
    home.registry.point(pipeline, **pointed)
    for name, version in pointed.items():
        home.ledger.set_mark(pipeline, _MARK + name, version or "")
    return moved


def _put(home: "Home", pipeline: str, name: str) -> list[str | None]:
    """Say where this home last put an alias, or between which places it was on the way."""
    mark = home.ledger.mark(pipeline, _MARK + name) or ""
    return [place or None for place in mark.split(_ON_THE_WAY)]


def _wanted(home: "Home", pipeline: str) -> dict[str, str | None]:
    champion = home.ledger.champion(pipeline)
    previous = home.ledger.previous(pipeline)
    tested = [one.tested_version for one in home.ledger.decisions(pipeline) if one.tested_version]
    return {
        "champion": champion.version if champion else None,
        "previous": previous.version if previous else None,
        "challenger": tested[-1] if tested else None,
    }
