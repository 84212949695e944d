"""The scan itself: inputs from their sources through an engine into the store."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from typing import TypeAlias

from aligngemini.isolation import WorkerStartError
from aligngemini.scan.items import ScanItem
from aligngemini.scan.judge import Answer
from aligngemini.scan.near import DISTANCE
from aligngemini.scan.run import Run
from aligngemini.scan.tally import Tally

BATCH = 256  # answers that are committed together,
BATCH_SECONDS = 1.0  # or as many as come in so long a time: what a kill may lose
PASSED_OVER = 200  # inputs in a row that are done already before workers are looked after again
NAP = 0.2  # seconds

Answers: TypeAlias = Callable[..., Generator[Answer, None, None]]
"""What an engine does: see `local.LocalEngine.answers`."""


def scan(
    answers: Answers,
    sources: Callable[[], Iterable[ScanItem]],
    run: Run,
    tally: Tally,
    *,
    watch: float | None = None,
    take_over: bool = False,
    step: Callable[[], None] = lambda: None,
    guard: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Judge what is in the sources and not yet in the store.

    Inputs that another run has in its hands are left to it; at the end this run waits for it, and
    does what it did not do, should it die. Nothing here grows with the number of inputs.

    Args:
        answers: The engine's.
        sources: Opens the sources from the start; the same addresses each time.
        run: On the store.
        tally: Counts.
        watch: Look for new inputs again so many seconds after each pass, without end; None is for
            a single pass.
        take_over: Whether near-duplicates take the verdict of the first of them over; needs a run
            and an engine that look for them.
        step: Called for each input, done now or before.
        guard: Entered around each commit: a context that no signal interrupts.

    Raises:
        StoreError: The store cannot be written; what was committed is safe.
        WorkerStartError: The engine could not load the detector.
    """
    batch = _Batch(run, tally, guard)

    def known(sha256: str) -> bool:
        return batch.has(sha256) or run.content(sha256).state != "open"

    def alike(question: tuple[str, int]) -> str | None:
        if batch.has_like(question[1]):
            batch.flush()  # the store knows what it is like
        return run.alike(question)

    if take_over:
        answers = partial(answers, alike=alike)
    try:
        inputs = _inputs(sources, run, tally, batch, watch=watch, step=step)
        with closing(answers(inputs, known)) as stream:
            for answer in stream:
                batch.add(answer)
                step()
    except (KeyboardInterrupt, WorkerStartError):
        batch.flush()
        run.end(whole=False, summary=tally.to_dict())
        raise
    batch.flush()
    run.end(whole=True, summary=tally.to_dict())


class _Batch:
    """Answers on their way into the store."""

    def __init__(
        self, run: Run, tally: Tally, guard: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._run = run
        self._tally = tally
        self._guard = guard
        self._answers: list[Answer] = []
        self._contents: set[str] = set()
        self._since = 0.0

    def has(self, sha256: str) -> bool:
        """Whether a content's record is among them."""
        return sha256 in self._contents

    def has_like(self, value: int) -> bool:
        """Whether an image whose perceptual hash is near to this one is among them."""
        hashes = (answer.near for answer in self._answers)
        return any(one is not None and (one ^ value).bit_count() <= DISTANCE for one in hashes)

    def add(self, answer: Answer) -> None:
        """Take an answer, and commit if it is time."""
        if not self._answers:
            self._since = time.monotonic()
        self._answers.append(answer)
        if answer.record is not None and answer.sha256 is not None:
            self._contents.add(answer.sha256)
        self.flush_in_time()

    def flush_in_time(self) -> None:
        """Commit if there are many, or if they wait for long."""
        if len(self._answers) >= BATCH or time.monotonic() - self._since >= BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Commit what there is."""
        if not self._answers:
            return
        with self._guard():
            with self._tally.timed("store"):
                self._run.commit(self._answers)
            for answer in self._answers:
                known = None
                if answer.record is None and answer.sha256 is not None:
                    known = self._run.content(answer.sha256).error
                self._tally.add(answer, known)
            self._answers.clear()
            self._contents.clear()


def _inputs(
    sources: Callable[[], Iterable[ScanItem]],
    run: Run,
    tally: Tally,
    batch: _Batch,
    *,
    watch: float | None,
    step: Callable[[], None],
) -> Iterator[ScanItem | None]:
    """What is left to judge, and a None now and then where that takes long to find."""
    counting = True  # in the first pass: the others see the same inputs again
    while True:
        taken = passed = 0
        for item in sources():
            with tally.timed("store"):
                stored = run.take(item)
            if stored.state != "open":
                taken += stored.state == "taken"
                if counting:
                    tally.add_known(stored)
                    step()
                passed += 1
                if passed % PASSED_OVER == 0:
                    batch.flush_in_time()
                    yield None
            elif item.problem is not None:
                batch.add(Answer(item.address, item.stamp, problem=item.problem))
                step()
            else:
                yield item
        counting = False
        if not taken and watch is None:
            return
        until = time.monotonic() + (watch or 0.0)
        while time.monotonic() < until or (taken and run.others()):
            batch.flush_in_time()
            time.sleep(NAP)
            yield None
