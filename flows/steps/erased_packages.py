"""What model packages hold of erased people: local copies go, the registered ones are named.

A package holds a sample of the rows that its model learnt from. Its digest covers them, and is
what was registered, judged and promoted: a package that is written anew would be another one,
under the same version. So a person decides, and is told which versions, and where they lie.
"""

import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flows.steps.home import Home

SAMPLES = ("reference.parquet", "golden.json", "input_example.json")
"""The files of a registered package that hold rows; feature values, without ids."""


def places_of(home: "Home", pipeline: str, versions: Collection[str]) -> dict[str, str]:
    """Say where the registered packages of some versions lie: a folder, or an address.

    Raises
    ------
    StoreError
        If MLflow cannot say.

    """
    found = [one for one in home.registry.versions(pipeline) if one.number in versions]
    return {one.number: home.registry.place(one.uri) for one in found if one.uri}


def drop_copies(home: "Home", pipeline: str, versions: Collection[str]) -> int:
    """Remove the copies that this home has fetched of some versions; gives how many there were.

    A version that still answers is fetched again when it is needed.
    """
    found = [one for one in home.registry.versions(pipeline) if one.number in versions]
    kept = [home.packages / one.digest for one in found if one.digest]
    there = [folder for folder in kept if folder.is_dir()]
    for folder in there:
        # Moved away at once: half a package would be taken for one that was tampered with.
        with tempfile.TemporaryDirectory(dir=home.packages, prefix=".gone-") as away:
            shutil.move(folder, Path(away, folder.name))
    return len(there)
