"""The nearest known spelling of a word."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """Suggest the nearest known spelling, as the end of a sentence; empty when none is near.

    >>> nearest("bikshare", ["bikeshare", "elec2"])
    '; did you mean bikeshare?'
    """
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""
