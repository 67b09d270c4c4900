"""MLflow's aliases follow the ledger; one moved by hand is reported, never overwritten."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flows.steps.home import Home

_MARK = "alias:"
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
    found = home.registry.aliases(pipeline)
    last = {name: home.ledger.mark(pipeline, _MARK + name) or None for name in NAMES}
    return [
        MovedAlias(name, found.get(name), last[name])
        for name in NAMES
        if found.get(name) != last[name] and found.get(name) != _wanted(home, pipeline).get(name)
    ]


def copy_aliases(
    home: "Home", pipeline: str, *, challenger: str | None = None, by_hand: bool = False
) -> list[MovedAlias]:
    """Point MLflow's aliases where the ledger says.

    Parameters
    ----------
    challenger : str, optional
        The newest tested version; kept as it is when not given.
    by_hand : bool
        A person settles it: what was moved is overwritten too.

    Returns
    -------
    list of MovedAlias
        Those that somebody moved; they were left alone unless `by_hand`.

    """
    moved = [] if by_hand else moved_by_hand(home, pipeline)
    wanted = _wanted(home, pipeline)
    if challenger is not None:
        wanted["challenger"] = challenger
    kept = {alias.name for alias in moved}
    pointed = {name: version for name, version in wanted.items() if name not in kept}
    for name, version in pointed.items():
        home.ledger.set_mark(pipeline, _MARK + name, version or "")
    home.registry.point(pipeline, **pointed)
    return moved


def _wanted(home: "Home", pipeline: str) -> dict[str, str | None]:
    champion = home.ledger.champion(pipeline)
    previous = home.ledger.previous(pipeline)
    return {
        "champion": champion.version if champion else None,
        "previous": previous.version if previous else None,
        "challenger": home.ledger.mark(pipeline, _MARK + "challenger") or None,
    }
