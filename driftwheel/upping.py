"""`up`: everything that the loop needs, until Ctrl-C."""

import time
from collections.abc import Sequence

from driftwheel.interrupting import interruptible
from driftwheel.output import print_json, say
from flows.opening import open_home
from flows.servers import Servers, running
from flows.settings import Settings


def run_up(
    settings: Settings,
    names: Sequence[str],
    *,
    prefect_port: int,
    mlflow_port: int,
    as_json: bool,
) -> None:
    """Start what is missing, print the addresses, and stop all of it on Ctrl-C.

    Raises
    ------
    UnknownPipelineError, PipelineFileError
        If a pipeline is misspelt, or its file is wrong; nothing was started.
    ChildDiedError
        If one of the children ends on its own; the others are stopped.

    """
    home = open_home(settings)
    served = list(names) or home.pipelines()
    for name in served:
        home.pipeline(name)
        # Before MLflow's pages come up: they would make the database themselves, unlocked.
        home.registry.ensure(name)
    with (
        interruptible(),
        running(
            settings,
            owner=home.ledger.ledger_id,
            pipelines=served,
            progress=say,
            prefect_port=prefect_port or None,
            mlflow_port=mlflow_port or None,
        ) as servers,
    ):
        _announce(servers, served, as_json=as_json)
        try:
            while True:
                servers.check()
                time.sleep(0.5)  # between two looks at the children
        except KeyboardInterrupt:
            say("stopping …")
    say("stopped: nothing is left running")


def _announce(servers: Servers, served: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json(
            {"prefect": servers.ui_url, "mlflow": servers.mlflow_url, "pipelines": list(served)}
        )
        return
    say(f"Prefect (runs, schedules, automations)  {servers.ui_url}")
    say(f"MLflow (experiments, models)            {servers.mlflow_url}")
    say(f"Serving: {', '.join(served)}. Ctrl-C stops all of it.")
