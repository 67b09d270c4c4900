"""The promotion gate on simulated challengers whose true gain is known.

Hourly losses; the paired differences have a standard deviation of 15 % of the champion's loss,
independent or autoregressive (0.9 an hour). Beside it what else people do: promote whenever the
new metric is better, judge every challenger as if it were the first on its rows, and look at an
ordinary interval every other day until it says yes.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from components.pipelines.learning import Gate
from monitoring.gate import GateDecision, judge, judge_not_worse
from monitoring.sequential import judge_so_far
from monitoring.spending import FIRST

MARGIN, LEVEL, SPREAD = 0.01, 0.05, 0.15
ROWS = 2_000
GATES = 400
CHALLENGERS = 10
DEPENDENT = 0.9
_SETTLED = 200
_PAIR = 48  # hours

Judge = Callable[[pd.Series, np.ndarray, np.ndarray], GateDecision]


def hours(count: int) -> pd.Series:
    """Give so many event times, one an hour."""
    return pd.Series(pd.date_range("2026-01-01", periods=count, freq="h", tz="UTC"))


def challenger_of(
    champion: np.ndarray, gain: float, dependence: float, chance: np.random.Generator
) -> np.ndarray:
    """Draw the losses of a challenger whose true relative gain is `gain`."""
    shocks = chance.normal(size=len(champion) + _SETTLED)
    noise = lfilter([1], [1, -dependence], shocks)[_SETTLED:] * (1 - dependence**2) ** 0.5
    return np.asarray(champion * (1 - gain) + SPREAD * noise)


def challenges(
    gain: float, *, gates: int, rows: int = ROWS, dependence: float = 0.0, seed: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Draw the losses of champion and challenger, for one gate after another."""
    chance = np.random.default_rng(seed)
    for _ in range(gates):
        champion = chance.gamma(4, 0.25, size=rows)
        yield champion, challenger_of(champion, gain, dependence, chance)


def once(times: pd.Series, champion: np.ndarray, challenger: np.ndarray) -> GateDecision:
    """Judge as the ``holdout`` mode does."""
    return judge(times, champion, challenger, gate=_gate(), rival="version 1", least_rows=200)


def renewal(times: pd.Series, champion: np.ndarray, challenger: np.ndarray) -> GateDecision:
    """Judge as for a model past its maximum age."""
    return judge_not_worse(
        times, champion, challenger, gate=_gate(), rival="version 1", least_rows=200
    )


def so_far(times: pd.Series, champion: np.ndarray, challenger: np.ndarray) -> GateDecision:
    """Judge as the ``shadow`` mode does."""
    until = times.iloc[-1] + pd.Timedelta("1h")
    return judge_so_far(
        times,
        champion,
        challenger,
        gate=_gate(),
        rival="version 1",
        least_rows=200,
        complete_until=until,
    )


def simulate(
    gain: float,
    *,
    gates: int = GATES,
    rows: int = ROWS,
    dependence: float = 0.0,
    seed: int = 0,
    by: Judge = once,
) -> tuple[float, float]:
    """Give the share of challengers promoted by the gate, and by "the new metric is better"."""
    times, promoted, naive = hours(rows), 0, 0
    for champion, challenger in challenges(
        gain, gates=gates, rows=rows, dependence=dependence, seed=seed
    ):
        promoted += by(times, champion, challenger).outcome == "promoted"
        naive += bool(challenger.mean() < champion.mean())
    return promoted / gates, naive / gates


def simulate_reuse(
    *, gates: int = GATES, challengers: int = CHALLENGERS, rows: int = ROWS, seed: int = 0
) -> tuple[float, float]:
    """Try equal challengers, all of just the margin, on one holdout until some is promoted.

    Returns
    -------
    tuple of float
        Share of holdouts on which any is promoted: with the level shared among the uses, and
        with each judged as if it were the first, at the full level.

    """
    chance, times = np.random.default_rng(seed), hours(rows)
    shared = alone = 0
    full = _gate().model_copy(update={"level": LEVEL / FIRST})
    for _ in range(gates):
        champion = chance.gamma(4, 0.25, size=rows)
        tried = [challenger_of(champion, MARGIN, 0.0, chance) for _ in range(challengers)]
        shared += any(
            _promoted(times, champion, challenger, _gate(), use)
            for use, challenger in enumerate(tried, start=1)
        )
        alone += any(_promoted(times, champion, challenger, full, 1) for challenger in tried)
    return shared / gates, alone / gates


def simulate_looks(
    gain: float, *, gates: int, rows: int = ROWS, dependence: float = 0.0, seed: int = 0, by: Judge
) -> tuple[float, float]:
    """Look every other day and stop at the first verdict: shares promoted and refused."""
    times, ends = hours(rows), range(10 * 24, rows + 1, _PAIR)
    said = {"promoted": 0, "refused": 0, "wait": 0}
    for champion, challenger in challenges(
        gain, gates=gates, rows=rows, dependence=dependence, seed=seed
    ):
        looks = (by(times[:end], champion[:end], challenger[:end]).outcome for end in ends)
        said[next((look for look in looks if look != "wait"), "wait")] += 1
    return said["promoted"] / gates, said["refused"] / gates


def until_yes(times: pd.Series, champion: np.ndarray, challenger: np.ndarray) -> GateDecision:
    """Judge by an ordinary interval at the full level, and hear nothing but a yes."""
    full = _gate().model_copy(update={"level": LEVEL / FIRST})
    found = judge(times, champion, challenger, gate=full, rival="version 1", least_rows=200)
    return found if found.outcome == "promoted" else replace(found, outcome="wait")


def measure(gates: int = GATES) -> dict[str, float]:
    """Simulate everything, and name each share; looks are costly, so half as many gates.

    ``gate_zero`` is the share promoted at a true gain of 0, ``gate_margin`` at just the margin,
    ``gate_twice`` at twice the margin; ``naive_…`` are the same challengers by the naive rule.
    """
    return measure_once(gates) | measure_looks(gates // 2)


def measure_once(gates: int = GATES) -> dict[str, float]:
    """Simulate gates that judge one stretch of rows once, or try several challengers on it."""
    found: dict[str, float] = {}
    for name, gain in (("zero", 0.0), ("margin", MARGIN), ("twice", 2 * MARGIN)):
        for suffix, dependence in (("", 0.0), ("_dependent", DEPENDENT)):
            share, naive = simulate(gain, gates=gates, dependence=dependence)
            found[f"gate_{name}{suffix}"] = share
            found[f"naive_{name}{suffix}"] = naive
    found["gate_reuse_10"], found["gate_reuse_10_unshared"] = simulate_reuse(gates=gates)
    found["renewal_worse_by_margin"] = simulate(-MARGIN, gates=gates, by=renewal)[0]
    found["renewal_equal"] = simulate(0.0, gates=gates, by=renewal)[0]
    return found


def measure_looks(gates: int) -> dict[str, float]:
    """Simulate gates that are looked at every other day, until they say yes or no."""
    found: dict[str, float] = {}
    for suffix, dependence in (("", 0.0), ("_dependent", DEPENDENT)):
        looked = {
            name: simulate_looks(gain, gates=gates, dependence=dependence, by=so_far)
            for name, gain in (("zero", 0.0), ("margin", MARGIN), ("twice", 2 * MARGIN))
        }
        found |= {f"looks_{name}{suffix}": promoted for name, (promoted, _) in looked.items()}
        found[f"looks_zero{suffix}_ended"] = looked["zero"][1]
        peeked = simulate_looks(MARGIN, gates=gates, dependence=dependence, by=until_yes)
        found[f"peeking_margin{suffix}"] = peeked[0]
    return found


def table(found: dict[str, float]) -> str:
    """Lay the shares out, one a line, in percent."""
    return "\n".join(f"{name:32s} {100 * share:7.2f} %" for name, share in found.items())


def _gate() -> Gate:
    return Gate(margin=MARGIN, level=LEVEL, block=timedelta(days=1))


def _promoted(
    times: pd.Series, champion: np.ndarray, challenger: np.ndarray, gate: Gate, use: int
) -> bool:
    found = judge(
        times, champion, challenger, gate=gate, rival="version 1", least_rows=200, use=use
    )
    return found.outcome == "promoted"


if __name__ == "__main__":
    print(table(measure()))
