"""The step that a plain worker runs before a flow run: step into its own Driftwheel."""

import os

from flows.settings import CLONE


def enter_clone() -> dict[str, str]:
    """Go to where `flows/` lies on this machine, so that entrypoints are found.

    Prefect calls it by the name ``flows.pulling.enter_clone``: a deployment thus holds no
    path of the machine that it was registered from.
    """
    os.chdir(CLONE)
    return {"directory": str(CLONE)}
