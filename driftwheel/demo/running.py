"""Start the demo's servers, tell the story, sum it up, stop everything."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from driftwheel.demo.guarding import guarded
from driftwheel.demo.story import Story
from driftwheel.demo.summing_up import sum_up
from driftwheel.demo.telling import line_as_dict, print_head, print_line, print_summary
from driftwheel.interrupting import interruptible
from driftwheel.output import console as console_for
from flows.opening import open_home
from flows.servers import running
from flows.settings import CLONE, Settings
from flows.talking import talking_to

if TYPE_CHECKING:
    from flows.steps.home import Home

PIPELINE = "bikeshare"


def run_demo(settings: Settings, *, steps: int, as_json: bool) -> dict[str, Any]:
    """Run the loop over the shipped data; the state stays in the home, to browse.

    Running it again goes through the same moments: what was done is recognised, and a demo
    that was killed goes on where it was.

    Raises
    ------
    ChildDiedError
        If a server of the demo ends on its own; everything else is stopped.
    ServiceError
        If servers of this home run already, or no decision comes.

    """
    begun = time.monotonic()
    console = console_for(as_json=as_json)
    home = open_home(settings)
    pipeline = home.pipeline(PIPELINE)
    console.print(
        f"[bold]Driftwheel demo[/]: hourly bike rentals, one week a step; state in {home.root}"
    )
    with interruptible(), _Bar(console, steps) as bar:
        bar.say("starting the Prefect server and the served deployments")
        warm = threading.Thread(target=warm_up, args=(home,), daemon=True)
        warm.start()
        with running(
            settings,
            owner=home.ledger.ledger_id,
            pipelines=[PIPELINE],
            progress=bar.say,
            mlflow=False,
            scheduled=False,
        ) as servers:
            warm.join()
            with guarded(servers.check), talking_to(servers.api_url, settings):
                story = Story(home, pipeline, steps, alive=servers.check, doing=bar.say)
                lines = []
                print_head(bar.console, pipeline.resolved_metric)
                for told in story.tell():
                    print_line(bar.console, told)
                    lines.append(told)
                    bar.advance()
                bar.say("summing up")
                worth = sum_up(home, pipeline, start=story.moments[0], end=story.moments[-1])
            bar.say("stopping the servers")
    seconds = time.monotonic() - begun
    option = "" if home.root == CLONE else f" --home {home.root}"
    print_summary(console, worth, seconds, option)
    return {
        "pipeline": PIPELINE,
        "home": str(home.root),
        "from": story.moments[0].isoformat(),
        "to": story.moments[-1].isoformat(),
        **worth.as_dict(),
        "seconds": round(seconds, 1),
        "timeline": [line_as_dict(told) for told in lines],
    }


def warm_up(home: "Home") -> None:
    """Import what the flows of this process will need, while the server starts."""
    import lightgbm  # noqa: F401 - only for its place in sys.modules

    import flows.steps.retraining
    import flows.steps.watching  # noqa: F401 - as above

    home.registry.ensure(PIPELINE)


class _Bar:
    """A bar at the foot of the timeline; on a plain pipe only the timeline is printed."""

    def __init__(self, console: Console, steps: int) -> None:
        columns = (
            SpinnerColumn(),
            BarColumn(20),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
        )
        self._progress = Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        )
        self._task = self._progress.add_task("", total=steps + 1)
        self.console = console
        self.advance: Callable[[], None] = lambda: self._progress.advance(self._task)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, what: str) -> None:
        """Show what is being done now."""
        self._progress.update(self._task, description=what)
