"""What a person can do about a result: the commands that apply, each as it is typed."""

from typing import Any


def after_decision(done: dict[str, Any]) -> str:
    """Say what applies after a training, where it put nobody in charge; empty where nothing does.

    >>> after_decision({"pipeline": "rides", "what": "wait"})
    'Whoever was in charge stays; `driftwheel train rides` tries again once more labels are known.'
    """
    name = done["pipeline"]
    told = {
        "wait": f"Whoever was in charge stays; `driftwheel train {name}` tries again once more "
        "labels are known.",
        "data_fault": f"The training is made up for at the next `driftwheel monitor {name}` once "
        f"the fault has ended. {_ending(name, done.get('why') or '')}".rstrip(),
        "no-op": "Nothing was done here: the request is closed, or another worker has it.",
    }
    return told.get(done["what"], "")


def after_verdict(done: dict[str, Any]) -> str:
    """Say what applies after a look at the newest window."""
    if done["verdict"] == "data_fault":
        return _ending(done["pipeline"], done["reason"])
    return ""


def _ending(name: str, said: str) -> str:
    """Say how a person ends a fault, unless the reason has said it just before."""
    if f"driftwheel resolve {name}" in said:
        return ""
    return (
        f"`driftwheel diagnose {name}` shows each with its key; `driftwheel resolve {name} KEY "
        "--accept|--discard|--reingest --reason …` says what it is, and ends it."
    )
