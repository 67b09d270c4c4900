"""What every check of `doctor` is given, and what it gives back."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flows.settings import Settings

if TYPE_CHECKING:
    from flows.steps.home import Home


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined.

    Attributes
    ----------
    home : Home
        Its stores open on first use; look before you open, for opening creates.
    now : datetime
        UTC.
    mend : bool
        Whether to put right what needs no decision.
    lock : Path
        The pins that the installation should hold.

    """

    settings: Settings
    home: "Home"
    now: datetime
    mend: bool
    lock: Path


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that was looked at."""

    ok: bool
    found: str
    mend: str = ""


def fine(found: str) -> Seen:
    """Say that a thing is as it should be."""
    return Seen(ok=True, found=found)


def wrong(found: str, *, mend: str) -> Seen:
    """Say what is wrong with a thing, and the command that mends it."""
    return Seen(ok=False, found=found, mend=mend)
