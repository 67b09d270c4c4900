"""The Python face: what a home holds, as data frames; history replayed, with policies as objects.

>>> import driftwheel
>>> home = driftwheel.open_home("my-home")           # doctest: +SKIP
>>> bikes = home["bikeshare"]                        # doctest: +SKIP
>>> bikes.predictions(as_of="2012-06-01").tail()     # doctest: +SKIP

Reading makes nothing and changes nothing; neither Prefect nor a server is needed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from components.errors import InvalidInputError
from components.pipelines import Pipeline
from components.pipelines.spec import Policy
from driftwheel.backtesting import Backtest, backtest, draw
from flows.opening import open_home as open_stores
from flows.settings import load_settings, silence_telemetry
from flows.steps.contenders import Contender

if TYPE_CHECKING:
    from flows.steps.home import Home

Moment = str | datetime | pd.Timestamp
"""ISO text or a time; naive means UTC."""

_BEFORE_ALL = pd.Timestamp("1700-01-01", tz="UTC")
_AFTER_ALL = pd.Timestamp("2200-01-01", tz="UTC")


def open_home(folder: str | Path | None = None) -> "OpenedHome":
    """Open a home to read from.

    Parameters
    ----------
    folder : path, optional
        By default it is looked for as the command line does: ``DRIFTWHEEL_HOME``, then the
        nearest folder upwards with a ``driftwheel.toml``.

    Raises
    ------
    SettingsError
        If its ``driftwheel.toml`` cannot be understood.

    """
    silence_telemetry()
    return OpenedHome(open_stores(load_settings(None if folder is None else Path(folder))))


class OpenedHome:
    """The pipelines of a home, by name."""

    def __init__(self, stores: "Home") -> None:
        self._stores = stores

    def __repr__(self) -> str:
        return f"<driftwheel home {self._stores.root}: {', '.join(self) or 'no pipeline'}>"

    def __iter__(self) -> Iterator[str]:
        return iter(self._stores.pipelines())

    def __getitem__(self, name: str) -> "UnderCare":
        """Open one pipeline.

        Raises
        ------
        UnknownPipelineError
            If there is none of that name; names the nearest.

        """
        return UnderCare(self._stores, self._stores.pipeline(name))

    def decisions(self) -> pd.DataFrame:
        """Give every decision of every pipeline, oldest first."""
        return _decisions(self._stores, None)


class UnderCare:
    """One pipeline: its tables as known at a moment, its decisions, its history replayed.

    Attributes
    ----------
    pipeline : Pipeline
        What its file says, filled from the data.

    """

    def __init__(self, stores: "Home", pipeline: Pipeline) -> None:
        self._stores = stores
        self.pipeline = pipeline

    def __repr__(self) -> str:
        return f"<pipeline {self.pipeline.name}: {self.pipeline.resolved_task}>"

    def records(self, as_of: Moment | None = None, *, since: Moment | None = None) -> pd.DataFrame:
        """Read the records known at a moment, each once, of events at or after `since`."""
        from flows.steps.snapshots import records_known

        return self._known(records_known, as_of, since)

    def labels(self, as_of: Moment | None = None, *, since: Moment | None = None) -> pd.DataFrame:
        """Read the labels known at a moment, each once, of events at or after `since`."""
        from flows.steps.snapshots import labels_known

        return self._known(labels_known, as_of, since)

    def predictions(
        self,
        as_of: Moment | None = None,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> pd.DataFrame:
        """Read the predictions made by a moment, each with the truth known by then.

        Parameters
        ----------
        since, until : time, optional
            Of events in ``[since, until)``.

        Returns
        -------
        DataFrame of shape (n_predictions, n_columns)
            `label` is missing where no truth was known.

        """
        from flows.steps.snapshots import predictions_labelled

        return predictions_labelled(
            self._stores.lake,
            self.pipeline,
            as_of=_moment(as_of, _AFTER_ALL),
            since=_moment(since, _BEFORE_ALL),
            until=_moment(until, _AFTER_ALL),
        )

    def measurements(self, as_of: Moment | None = None, *, name: str | None = None) -> pd.DataFrame:
        """Read what was measured by a moment, oldest window first; of one name, if given."""
        from flows.steps.measuring import read_measurements

        found = read_measurements(self._stores, self.pipeline, as_of=_moment(as_of, _AFTER_ALL))
        rows = pd.DataFrame([one.as_row() for one in found])
        return rows if name is None or rows.empty else rows[rows["name"] == name]

    def decisions(self) -> pd.DataFrame:
        """Give every decision about this pipeline, oldest first."""
        return _decisions(self._stores, self.pipeline.name)

    def backtest(
        self,
        policies: Sequence[str | Policy] = (),
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        told: Callable[[str, float], None] = lambda _what, _share: None,
    ) -> "Rehearsal":
        """Replay history under each policy; the source is read itself, the home untouched.

        Parameters
        ----------
        policies : sequence of str or Policy
            As on the command line (``periodic:7d+gate``), or as objects, which pass the gate.
        start, end : time, optional
            The first training, and the last event.
        told : callable
            Hears what is being done, and the share of it that is done.

        Raises
        ------
        InvalidInputError
            If a policy is not understood.
        NotEnoughHistoryError
            If nothing happens after the first training.

        """
        done = backtest(
            self.pipeline,
            [_contender(policy) for policy in policies],
            start=None if start is None else _moment(start, _BEFORE_ALL),
            end=None if end is None else _moment(end, _AFTER_ALL),
            told=told,
        )
        return Rehearsal(done)

    def _known(
        self, read: Callable[..., pd.DataFrame], as_of: Moment | None, since: Moment | None
    ) -> pd.DataFrame:
        return read(
            self._stores.lake,
            self.pipeline,
            as_of=_moment(as_of, _AFTER_ALL),
            since=None if since is None else _moment(since, _BEFORE_ALL),
        )


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A finished backtest: the document of ``--json``, as a table, as a picture."""

    result: Backtest

    @property
    def document(self) -> dict[str, Any]:
        """What ``driftwheel backtest --json`` prints."""
        return self.result.document

    @property
    def table(self) -> pd.DataFrame:
        """One row a policy: score with its interval, and what was decided how often."""
        counts = ("retrainings", "promotions", "refusals", "waits", "false_alarms")
        rows = {
            text: {
                "score": found["score"],
                "low": found["score_ci"][0],
                "high": found["score_ci"][1],
                **{count: found[count] for count in counts},
                "train_seconds": found["train_seconds"],
            }
            for text, found in self.document["policies"].items()
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("policy")

    @property
    def timeline(self) -> pd.DataFrame:
        """One row a stretch and policy: when, the score, and what was decided why."""
        found = self.document["policies"].items()
        rows = [{"policy": text, **one} for text, each in found for one in each["timeline"]]
        frame = pd.DataFrame(rows, columns=["policy", "at", "score", "event", "reason"])
        return frame.assign(at=pd.to_datetime(frame["at"], utc=True))

    def plot(self, to: str | Path) -> Path:
        """Draw error over time for each policy, retrainings marked; a PNG file."""
        return draw(self.result, Path(to))


def _contender(policy: str | Policy) -> str | Contender:
    if isinstance(policy, str):
        return policy
    if not isinstance(policy, Policy):
        raise InvalidInputError(
            "a policy is text, such as 'periodic:7d', or a driftwheel.Policy. "
            f"Got {type(policy).__name__}"
        )
    said = policy.model_dump(mode="json", include=policy.model_fields_set)
    settings = ", ".join(f"{name} {value}" for name, value in said.items() if name != "kind")
    return Contender(f"{policy.kind} ({settings})" if settings else policy.kind, policy)


def _decisions(stores: "Home", name: str | None) -> pd.DataFrame:
    from flows.steps.telling import DECISION_FIELDS, history_rows

    rows = history_rows(stores, name) if stores.begun else []
    if not rows:
        return pd.DataFrame(columns=[*DECISION_FIELDS, "recorded_at"])
    frame = pd.DataFrame(rows)
    return frame.assign(at=pd.to_datetime(frame["at"], utc=True, format="ISO8601"))


def _moment(given: Moment | None, default: pd.Timestamp) -> pd.Timestamp:
    if given is None:
        return default
    try:
        moment = pd.Timestamp(given)
    except (ValueError, TypeError) as problem:
        raise InvalidInputError(
            f"a moment is a time or ISO text, such as '2026-01-31' or '2026-01-31 12:00'. "
            f"Got {given!r}"
        ) from problem
    if pd.isna(moment):
        raise InvalidInputError("a moment must be a time. Got NaT")
    return moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
