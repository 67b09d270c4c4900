"""Names that a person recognises in Prefect's list of runs."""

from datetime import datetime
from typing import Any


def run_name() -> str:
    """Name a flow run by its pipeline and moment, or by its request.

    Prefect calls this as the run begins; it reads the parameters of the run.
    """
    from prefect.runtime import flow_run

    return name_of(dict(flow_run.parameters))


def name_of(parameters: dict[str, Any]) -> str:
    """Make the name of a run from its parameters.

    >>> name_of({"pipeline": "bikeshare", "as_of": datetime(2011, 4, 2)})
    'bikeshare as of 2011-04-02 00:00'
    >>> name_of({"pipeline": "bikeshare", "request_id": "rr-1", "as_of": None})
    'bikeshare rr-1'
    """
    words = [str(parameters.get("pipeline", "?"))]
    if parameters.get("request_id"):
        words.append(str(parameters["request_id"]))
    as_of = parameters.get("as_of")
    if isinstance(as_of, datetime):
        words.append(f"as of {as_of:%Y-%m-%d %H:%M}")
    return " ".join(words)
