"""Folders in which rows wait on disk; each names the process that it belongs to.

Who is killed leaves his behind. Its name says whether its process is still there.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "driftwheel-"
_KINDS = ("ingest", "join", "labels", "score", "sink", "truth", "waits")


@contextmanager
def scratch(what: str) -> Iterator[Path]:
    """Make a folder of one's own under the system's folder for such; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{what}-{os.getpid()}-") as made:
        yield Path(made)


def scratch_folders(among: Path | None = None) -> Iterator[tuple[Path, int | None]]:
    """List such folders with the process each belongs to; None where the name does not say.

    Parameters
    ----------
    among : Path, optional
        Where to look; the system's folder for what is temporary by default.

    """
    place = Path(tempfile.gettempdir()) if among is None else among
    for folder in sorted(place.glob(f"{_PREFIX}*-*")):
        what, _, rest = folder.name.removeprefix(_PREFIX).partition("-")
        pid = rest.partition("-")[0]
        if folder.is_dir() and what in _KINDS:
            yield folder, int(pid) if pid.isdecimal() else None
