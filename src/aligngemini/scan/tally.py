"""What a scan did, in numbers that do not grow with it."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from aligngemini.scan.judge import Answer
from aligngemini.scan.run import Stored

STAGES = ("read", "decode", "judge", "store")

Outcome = Literal["judged", "copies", "near", "before", "unread"]


class Tally:
    """Counts of one run.

    Attributes:
        outcomes: Inputs that were `judged`; whose content was known already (`copies`); that took
            over the verdict of a near-duplicate (`near`); that were in the store before
            (`before`); that could not be read (`unread`).
        verdicts: Judged inputs by verdict; `none` where they could not be judged.
        errors: Inputs without a verdict by code, those in the store before included.
        taken: Inputs left to another run.
        seconds: Time by stage, over all workers.
        branches: Time by branch, likewise, in seconds.
        bytes: Read.
        workers: Processes that judge.
    """

    def __init__(self, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing counted.

        Args:
            workers: See the class.
            clock: Gives seconds.
        """
        self.outcomes: Counter[Outcome] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.taken = 0
        self.seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)
        self.branches: Counter[str] = Counter()
        self.bytes = 0
        self.workers = workers
        self._clock = clock
        self._started = clock()

    @property
    def total(self) -> int:
        """Inputs done so far, by this run or before it."""
        return self.outcomes.total()

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._started

    @property
    def rate(self) -> float:
        """Inputs a second that this run judged or found to be copies."""
        return (self.total - self.outcomes["before"]) / max(self.elapsed, 1e-9)

    def add_known(self, stored: Stored) -> None:
        """Count an input that the store had before, or that another run has."""
        if stored.state == "taken":
            self.taken += 1
            return
        self.outcomes["before"] += 1
        if stored.state == "failed":
            self.errors[stored.error or ""] += 1

    def add(self, answer: Answer, known_error: str | None = None) -> None:
        """Count an answer.

        Args:
            answer: To an input of this run.
            known_error: Code of what the store has of its content, where that was known.
        """
        self.bytes += answer.size
        for stage, seconds in answer.seconds.items():
            self.seconds[stage] += seconds
        error = known_error
        if answer.problem is not None:
            self.outcomes["unread"] += 1
            error = answer.problem.code
        elif answer.record is None:
            self.outcomes["copies"] += 1
        elif answer.borrowed:
            self.outcomes["near"] += 1
        else:
            self.outcomes["judged"] += 1
            error = self._add_record(json.loads(answer.record))
        if error is not None:
            self.errors[error] += 1

    def _add_record(self, record: dict[str, Any]) -> str | None:
        self.verdicts[record["verdict"] or "none"] += 1
        for name, branch in record["branches"].items():
            if "ms" in branch:
                self.branches[name] += branch["ms"] / 1000
        return record["error"] and str(record["error"]["code"])

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count the time that the block takes for a stage."""
        start = self._clock()
        try:
            yield
        finally:
            self.seconds[stage] += self._clock() - start

    def load(self, seconds: float) -> float:
        """Share of the workers' time that so much work took, in [0, 1]."""
        return min(1.0, seconds / max(self.elapsed * self.workers, 1e-9))

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "inputs": dict(self.outcomes),
            "verdicts": dict(self.verdicts),
            "errors": dict(self.errors),
            "bytes": self.bytes,
            "elapsed": round(self.elapsed, 3),
            "rate": round(self.rate, 3),
            "workers": self.workers,
            "seconds": {stage: round(value, 3) for stage, value in self.seconds.items()},
            "branches": {name: round(value, 3) for name, value in self.branches.items()},
        }
