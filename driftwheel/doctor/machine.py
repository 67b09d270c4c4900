"""Disk, clock and ports."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from driftwheel.doctor.looking import Patient, Seen, fine, wrong
from driftwheel.doctor.stores import ledger_exists

LEAST_FREE = 2**30
"""Bytes; with less, a compaction (which writes before it removes) may not fit."""

MOST_LEFT = 100 * 2**20
"""Bytes; less of what killed processes left is no complaint."""

CLOCK_BOUND = timedelta(seconds=5)
"""Between our clock and another's: leases, which last a minute and more, bear this much."""

SET_CLOCK = "timedatectl set-ntp true (macOS: sntp -sS time.apple.com)"


def storage(patient: Patient) -> Iterator[Seen]:
    """Look whether home and lake can be written, and how much room there is."""
    home, lake = patient.settings.home, patient.settings.lake_uri
    yield _writable("the home", home)
    if "://" not in lake and not Path(lake).is_relative_to(home):
        yield _writable("the lake", Path(lake))
    free = shutil.disk_usage(_nearest(home)).free
    if free >= LEAST_FREE:
        yield fine(f"{free / 2**30:.1f} GiB free")
    else:
        yield wrong(
            f"{free / 2**30:.2f} GiB free, needs {LEAST_FREE / 2**30:.0f}",
            mend=f"free some space (du -sh {home}/*), or use another disk: driftwheel --home DIR …",
        )


def _writable(what: str, folder: Path) -> Seen:
    """Write where `folder` is, or where it would be made."""
    place = _nearest(folder)
    try:
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"driftwheel")
    except OSError as problem:
        return wrong(
            f"{what} {folder} cannot be written ({problem.strerror}: {place})",
            mend=f"chmod u+w {place}, or use another folder: driftwheel --home DIR …",
        )
    return fine(f"{what} {folder} is writable{'' if place == folder else ' (not made yet)'}")


def _nearest(folder: Path) -> Path:
    """Give the folder, or the nearest one above it that exists."""
    return next(each for each in (folder, *folder.parents) if each.exists())


def leavings(patient: Patient) -> Iterator[Seen]:
    """Look for folders in which rows waited whose process was killed."""
    from components.stores.lake.scratch import scratch_folders

    stale = [folder for folder, pid in scratch_folders() if _is_stale(folder, pid, patient)]
    if not stale:
        return
    size = sum(file.stat().st_size for each in stale for file in each.rglob("*") if file.is_file())
    found = (
        f"{len(stale)} folders with {size / 2**20:.1f} MiB of rows, left behind in "
        f"{stale[0].parent} by processes that are gone"
    )
    if patient.mend:
        for folder in stale:
            shutil.rmtree(folder, ignore_errors=True)
        yield fine(f"mended: removed {found}")
    elif size >= MOST_LEFT:
        yield wrong(found, mend="driftwheel doctor --mend")
    else:
        yield fine(f"{found}; `driftwheel doctor --mend` removes them")


def _is_stale(folder: Path, pid: int | None, patient: Patient) -> bool:
    """Say whether the process of a folder is gone; where none is named, whether it is a day old."""
    import psutil

    touched = folder.stat().st_mtime
    if pid is None:
        return touched < (patient.now - timedelta(days=1)).timestamp()
    try:
        return psutil.Process(pid).create_time() > touched + 1  # another one has the number now
    except psutil.NoSuchProcess:
        return True


def clock(patient: Patient) -> Iterator[Seen]:
    """Compare our clock with that of the file system, and with what the ledger remembers."""
    folder = _nearest(patient.settings.home)
    apart = _dated(folder)
    found = (
        f"{patient.now:%Y-%m-%d %H:%M} UTC, local zone {time.tzname[0]}; files are dated "
        f"{round(apart.total_seconds()):+d} s from it"
    )
    yield fine(found) if abs(apart) <= CLOCK_BOUND else wrong(found, mend=SET_CLOCK)
    if not ledger_exists(patient.settings):
        return
    written = [each.recorded_at for each in patient.home.ledger.decisions()]
    if written and max(written) > patient.now + CLOCK_BOUND:
        yield wrong(
            f"the ledger was last written at {max(written):%Y-%m-%d %H:%M} UTC, which is still "
            "to come: a clock is wrong, or was",
            mend=SET_CLOCK,
        )


def _dated(folder: Path) -> timedelta:
    """Say by how much a file written now is dated otherwise than now."""
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"driftwheel")
        probe.flush()
        return timedelta(seconds=os.fstat(probe.fileno()).st_mtime - time.time())


def ports(_: Patient) -> Iterator[Seen]:
    """Look whether a port can be had; the servers that we start take any free one."""
    from flows.children import LOOPBACK, free_port

    yield fine(f"{free_port()} and others are free on {LOOPBACK}")
