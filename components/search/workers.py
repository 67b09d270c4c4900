"""Fits in processes of their own: several at once, and none that can take the search along.

A worker that dies, killed by the system for its memory for example, loses the one fit that it
was at, with the cause in words; a fit that takes too long is ended. Either way a fresh worker
takes its place.
"""

import multiprocessing
import pickle
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Self

from components.pipelines import Pipeline
from components.search.folds import Fold
from components.search.judging import Job, tried
from components.search.trials import Outcome

_SPAWN = multiprocessing.get_context("spawn")
_GOODBYE = 5.0


class Workers:
    """Processes that judge recipes on folds, one thread each.

    Parameters
    ----------
    folds : tuple of Fold
        Handed to every worker once.
    pipeline : Pipeline
        What is learnt.
    count : int
        How many processes.
    limit : float
        Seconds that one fit may take.

    """

    def __init__(
        self, folds: tuple[Fold, ...], pipeline: Pipeline, *, count: int, limit: float
    ) -> None:
        self._given = pickle.dumps((folds, pipeline), protocol=pickle.HIGHEST_PROTOCOL)
        self._count = count
        self._limit = limit
        self._idle: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._idle:
            worker.dismiss()

    def judge(self, jobs: Sequence[Job], *, may_start: Callable[[], bool]) -> list[Outcome | None]:
        """Do jobs, as many at once as there are workers; see :class:`judging.Judge`."""
        found: list[Outcome | None] = [None] * len(jobs)
        waiting = deque(enumerate(jobs))
        busy: dict[_Worker, int] = {}
        try:
            while waiting or busy:
                while waiting and len(busy) < self._count and may_start():
                    place, job = waiting.popleft()
                    worker = self._idle.pop() if self._idle else _Worker(self._given)
                    worker.start(job)
                    busy[worker] = place
                if not busy:
                    break
                for worker in _ready(busy, self._limit):
                    found[busy.pop(worker)] = worker.outcome(self._limit)
                    if worker.alive:
                        self._idle.append(worker)
        finally:
            for worker in busy:
                worker.end()
        return found


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, given: bytes) -> None:
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self.alive = True
        self.begun = time.monotonic()
        self._send(given)

    @property
    def pipe(self) -> Connection:
        """Readable once the fit has come to an end, or the process has."""
        return self._pipe

    def start(self, job: Job) -> None:
        """Begin a fit."""
        self._send(pickle.dumps(job))
        self.begun = time.monotonic()

    def outcome(self, limit: float) -> Outcome:
        """Give what became of the fit; a process that is still at it is ended."""
        seconds = time.monotonic() - self.begun
        if not self._pipe.poll():
            self.end()
            return Outcome(
                float("inf"),
                seconds,
                f"took longer than {limit:.0f} s and was ended; give search.budget more time, or "
                "choose a shorter window or a faster family",
            )
        try:
            given: Outcome = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            # Its end of the pipe is closed: it is dying by itself, and of what is told once it has.
            self._process.join(_GOODBYE)
            self.end()
            return Outcome(float("inf"), seconds, _cause(self._process.exitcode))
        return given

    def end(self) -> None:
        """End the process, whatever it is at."""
        self.alive = False
        if self._process.exitcode is None:
            self._process.kill()
        self._process.join()
        self._pipe.close()

    def dismiss(self) -> None:
        """Let an idle process go: it ends once the pipe closes."""
        self._pipe.close()
        self._process.join(_GOODBYE)
        self.end()

    def _send(self, given: bytes) -> None:
        try:
            self._pipe.send_bytes(given)
        except (BrokenPipeError, ConnectionResetError):
            # It died before it could listen; reading from it says of what.
            return


def _ready(busy: dict[_Worker, int], limit: float) -> list[_Worker]:
    """Wait until some workers are done, dead or over time; give these, in order of their jobs."""
    left = min(worker.begun for worker in busy) + limit - time.monotonic()
    done = wait([worker.pipe for worker in busy], timeout=max(0.0, left))
    now = time.monotonic()
    return [w for w in busy if w.pipe in done or now - w.begun >= limit]


def _cause(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return (
            "its process was killed by the system, most likely because memory ran out; choose a "
            "shorter window, fewer search.processes or a smaller family"
        )
    ended = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
    return f"its process ended by itself ({ended}) before it had an answer"


def _work(pipe: Connection) -> None:
    """Judge what comes through the pipe until it closes: the whole life of a worker."""
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        folds, pipeline = pickle.loads(pipe.recv_bytes())  # noqa: S301 - sent by our own parent
        with threadpool_limits(limits=1):
            while True:
                recipe, number = pickle.loads(pipe.recv_bytes())  # noqa: S301 - as above
                pipe.send(tried(recipe, folds[number], pipeline))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
