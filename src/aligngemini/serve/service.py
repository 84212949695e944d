"""From requests to answers: admission, the pool, the time a request may take."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from aligngemini.cores import usable_cores
from aligngemini.evidence import Problem
from aligngemini.fusion import open_rule
from aligngemini.images.item import ImageError
from aligngemini.images.limits import Limits
from aligngemini.serve.drift import DriftWatch
from aligngemini.serve.keep import keep
from aligngemini.serve.metrics import Metrics
from aligngemini.serve.pool import BusyError, Pool
from aligngemini.serve.problems import Refusal
from aligngemini.serve.settings import ServiceSettings
from aligngemini.serve.uploads import Upload
from aligngemini.serve.worker import Answer, Judge, Task, Wanted, answer_to
from aligngemini.verdict import Verdict

GPU_BATCH = 8
UPLOADS = 64  # requests whose bodies are on their way, at most; slow ones keep nobody waiting
ROUNDS = 2  # of work that may wait: who is accepted waits that long at most

log = logging.getLogger("aligngemini.serve")


class Service:
    """Judges the images of requests in worker processes.

    Attributes:
        settings: What it was told.
        pool: The workers.
        limits: Of one image.
        metrics: What happened so far.
        fusion: Name of the rule.
        identity: What a scan's store calls the detector, once that is loaded.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        """Say what there will be; `start` loads the models.

        Raises:
            FusionError: (a ValueError) The fusion rule is unknown, or its file cannot be used.
        """
        self.settings = settings
        self.limits = Limits(settings.limits.file_bytes, settings.max_pixels)
        self.pool: Pool[Task, Answer] = Pool(
            partial(
                Judge,
                settings.detector,
                threads=max(1, usable_cores() // settings.workers),
                limits=self.limits,
            ),
            workers=settings.workers,
            batch=settings.batch or 1,
            capacity=settings.queue or 1,
            timeout=settings.timeout,
            memory=settings.memory,
        )
        self.fusion = open_rule(settings.detector.fusion).name
        self.drift = DriftWatch(settings.scores)
        self.metrics = Metrics(self.drift.latest)
        watch = self.metrics.watch
        watch("queue", "Images that wait for a worker", lambda: self.pool.waiting)
        watch("queue_capacity", "Images that may wait", lambda: self.pool.capacity)
        watch("workers", "Workers that are ready", lambda: self.pool.ready)
        watch("workers_lost", "Workers that were replaced since the start", lambda: self.pool.lost)
        watch("held_bytes", "Bytes of uploads in memory", lambda: self._held)
        self.identity: dict[str, Any] = {}
        self._reading = 0  # requests whose body is on its way
        self._held = 0  # bytes of uploads in memory

    def start(self) -> None:
        """Load the models.

        Raises:
            WorkerStartError: That failed; the message says why.
            SettingsError: (a ValueError) The file of scores holds something else.
            OSError: It cannot be read or written.
        """
        self.pool.start()
        facts = self.facts()
        self.identity = facts[0]["identity"]
        self.drift.open(self.identity)
        if self.settings.batch is None and _many_at_once(facts):
            self.pool.batch = GPU_BATCH
        if self.settings.queue is None:
            self.pool.capacity = ROUNDS * self.settings.workers * self.pool.batch

    def close(self, *, finish: bool = True) -> None:
        """Take nothing more, and end; see `Pool.close`."""
        self.pool.close(finish=finish)
        self.drift.try_saving()

    def facts(self) -> list[dict[str, Any]]:
        """What each worker that is ready has loaded; see `facts_of`."""
        return [json.loads(answer.body) for answer in list(self.pool.loaded.values())]

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Take a request on, before its body is read.

        Raises:
            Refusal: There is no room.
        """
        if self.pool.full or self._reading >= UPLOADS:
            raise self._busy()
        self._reading += 1
        try:
            yield
        finally:
            self._reading -= 1

    @contextmanager
    def memory(self) -> "Iterator[Memory]":
        """Room for what one request brings, given back at the end of the block."""
        memory = Memory(self)
        try:
            yield memory
        finally:
            self._held -= memory.taken

    def hold(self, size: int) -> None:
        """Count bytes that came in.

        Raises:
            Refusal: All requests together hold too many.
        """
        if self._held + size > self.settings.held_bytes:
            raise self._busy()
        self._held += size

    async def judge(
        self, uploads: Sequence[Upload], wanted: Wanted, *, seconds: float
    ) -> list[Answer]:
        """The answer to each upload, in order; cancelling takes back what has not begun.

        Args:
            uploads: At least one.
            wanted: What is to come with the records.
            seconds: After which those that are not done are given up.

        Raises:
            Refusal: There is no room.
        """
        refused = [self._refused(upload, wanted) for upload in uploads]
        tasks = [
            Task(upload.name, upload.data, wanted)
            for upload, answer in zip(uploads, refused, strict=True)
            if answer is None
        ]
        judged = iter(await self._ask(tasks, seconds) if tasks else [])
        answers = [next(judged) if answer is None else answer for answer in refused]
        for answer in answers:
            self.metrics.answer(answer)
            self.drift.add(answer.scores)
        if self.settings.keep is not None:
            await self._keep(self.settings.keep, uploads, answers)
        return answers

    async def _keep(
        self, folder: Path, uploads: Sequence[Upload], answers: Sequence[Answer]
    ) -> None:
        try:
            await asyncio.to_thread(keep, folder, uploads, answers)
        except OSError as error:  # the caller has its answer all the same
            log.error("not kept: %s", error)

    async def _ask(self, tasks: Sequence[Task], seconds: float) -> list[Answer]:
        try:
            futures = [asyncio.wrap_future(future) for future in self.pool.submit(tasks)]
        except BusyError:
            raise self._busy() from None
        try:
            await asyncio.wait(futures, timeout=seconds)
            late = Problem("timeout", f"the request was not done after {seconds:.0f} seconds")
            return [
                self._answer(task, future.result() if future.done() else late)
                for task, future in zip(tasks, futures, strict=True)
            ]
        finally:
            for future in futures:
                future.cancel()

    def _answer(self, task: Task, answer: Answer | Problem) -> Answer:
        if isinstance(answer, Answer):
            return answer
        return self._failed(task.name, answer, task.wanted)

    def _failed(self, name: str, problem: Problem, wanted: Wanted) -> Answer:
        verdict = Verdict(path=name, fusion=self.fusion, error=problem)
        return answer_to(verdict, None, wanted)

    def _refused(self, upload: Upload, wanted: Wanted) -> Answer | None:
        """The answer to a file that no worker need see."""
        problem = upload.problem
        try:
            if problem is None:
                self.limits.check_bytes(len(upload.data))
        except ImageError as error:
            problem = error.problem
        return None if problem is None else self._failed(upload.name, problem, wanted)

    def _busy(self) -> Refusal:
        if not self.pool.ready:
            return Refusal(503, "not-ready", "no model is loaded at the moment", retry_after=5)
        wait = self.pool.patience
        return Refusal(
            503, "busy", f"too much waits already: try again in {wait} s", retry_after=wait
        )


def _many_at_once(facts: Sequence[dict[str, Any]]) -> bool:
    """Whether something judges faster together than one after the other; a CPU does not."""
    return any(branch.get("device") in ("cuda", "server") for branch in facts[0]["branches"])


class Memory:
    """What one request holds."""

    def __init__(self, service: Service) -> None:
        self.taken = 0
        self._service = service

    async def counted(self, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The same stream, each piece counted before it is passed on.

        Raises:
            Refusal: See `Service.hold`.
        """
        async for chunk in stream:
            self._service.hold(len(chunk))
            self.taken += len(chunk)
            yield chunk
