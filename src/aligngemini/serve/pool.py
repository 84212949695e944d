"""Worker processes behind a bounded queue, for a program of many threads.

`isolation` judges a stream in order, from a process without threads. A service answers many callers
at once: here every worker process has a thread that hands it what waits, several items at a time.
What dies, hangs or takes too much memory costs its own item: the others of its batch are judged
again, each alone.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeAlias, TypeVar

from aligngemini.evidence import Problem
from aligngemini.isolation import WorkerStartError
from aligngemini.isolation_worker import Prepare
from aligngemini.serve.process import WorkerProcess

Item = TypeVar("Item")
Result = TypeVar("Result")

Process: TypeAlias = WorkerProcess[tuple[Item, ...], list[Result]]

START_PAUSE = 5.0  # seconds between tries to start a worker that does not start
LOOK_AGAIN = 1.0  # seconds after which an idle thread looks whether its process is still there


class BusyError(Exception):
    """The queue is full.

    Attributes:
        seconds: After how many there should be room.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"the queue is full: try again in {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True)
class _Job(Generic[Item, Result]):
    item: Item
    future: "Future[Result | Problem]"
    alone: bool = False  # because the batch it was in failed as a whole


class Pool(Generic[Item, Result]):
    """Worker processes, their queue and their threads."""

    def __init__(
        self,
        prepare: Prepare[tuple[Item, ...], list[Result]],
        *,
        workers: int,
        batch: int,
        capacity: int,
        timeout: float,
        memory: int | None = None,
    ) -> None:
        """Say what there will be; `start` begins.

        Args:
            prepare: Called once in each worker; gives the function that answers a tuple of items
                with a list of answers there. An empty tuple asks what is loaded, and has one
                answer. All of it must be picklable.
            workers: Processes, at least 1.
            batch: Items that a worker takes at a time, at most.
            capacity: Items that may wait.
            timeout: Seconds one item may take; so may a batch.
            memory: Bytes a worker may allocate beyond what it took to get ready, or None.
        """
        self.workers = workers
        self.batch = batch
        self.capacity = capacity
        self.lost = 0  # workers that were replaced
        self.loaded: dict[int, Result] = {}  # what each worker that is ready says it has loaded
        self._new: Callable[[], Process[Item, Result]] = partial(
            WorkerProcess, prepare, timeout=timeout, memory=memory
        )
        self._processes: set[Process[Item, Result]] = set()
        self._queue: deque[_Job[Item, Result]] = deque()
        self._background: deque[_Job[Item, Result]] = deque()
        self._changed = threading.Condition()
        self._idle = 0
        self._closing = False
        self._failure: WorkerStartError | None = None
        self._pace = 1.0  # seconds that an item takes a worker, lately
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the workers and wait until they have loaded.

        Raises:
            WorkerStartError: One could not; the message says why.
        """
        for number in range(self.workers):
            thread = threading.Thread(
                target=self._run, args=(number,), name=f"worker-{number}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._failure or len(self.loaded) == self.workers)
            failure = self._failure
        if failure is not None:
            self.close()
            raise failure

    @property
    def ready(self) -> int:
        """Workers that are loaded and alive."""
        return len(self.loaded)

    @property
    def waiting(self) -> int:
        """Items in the queue."""
        return len(self._queue)

    @property
    def full(self) -> bool:
        """Whether nothing more is taken now."""
        broken = not self.loaded and self._failure is not None
        return self._closing or broken or self.waiting >= self.capacity

    @property
    def patience(self) -> int:
        """Seconds after which what waits now should be done, at least 1."""
        return max(1, math.ceil(self.waiting * self._pace / max(1, self.ready)))

    def submit(
        self, items: Sequence[Item], *, background: bool = False
    ) -> "list[Future[Result | Problem]]":
        """Queue items that belong together: all or none.

        Together they may go beyond the capacity; the next ones are then refused.

        Args:
            items: What to judge.
            background: Whether all others go first; these do not count as waiting.

        Returns:
            A future for each; one that is cancelled before its item was taken up costs nothing.

        Raises:
            BusyError: The queue is full, or no worker can be started.
        """
        jobs = [_Job[Item, Result](item, Future()) for item in items]
        with self._changed:
            if self._closing or (self.full and not background):
                raise BusyError(self.patience)
            (self._background if background else self._queue).extend(jobs)
            self._changed.notify_all()
        return [job.future for job in jobs]

    def close(self, *, finish: bool = True) -> None:
        """Take nothing more and end the workers.

        Args:
            finish: Whether what was taken is judged first.
        """
        with self._changed:
            self._closing = True
            if not finish:
                for process in self._processes:
                    process.interrupt()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for job in (*self._queue, *self._background):
            if job.alone or job.future.set_running_or_notify_cancel():
                job.future.set_result(Problem("crashed", "the service was stopped"))
        self._queue.clear()
        self._background.clear()

    def _run(self, number: int) -> None:
        """What each thread does: keep one process alive and hand it what waits."""
        while not self._closing:
            with self._start_failures_kept(), self._process(number) as process:
                self._load(process, number)
                self._hand_out(process)

    @contextmanager
    def _start_failures_kept(self) -> Iterator[None]:
        """Remember why a process does not start, and wait before the next try."""
        try:
            yield
        except (WorkerStartError, OSError) as error:
            with self._changed:
                self._failure = WorkerStartError(str(error))
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closing, START_PAUSE)

    @contextmanager
    def _process(self, number: int) -> "Iterator[Process[Item, Result]]":
        """A process for as long as the block takes."""
        with self._changed:
            process = self._new()
            self._processes.add(process)
        try:
            yield process
        finally:
            with self._changed:
                self.loaded.pop(number, None)
                self._processes.discard(process)
                self.lost += not self._closing
            process.kill()

    def _load(self, process: "Process[Item, Result]", number: int) -> None:
        process.wait_ready()
        answers = process.ask(())
        if isinstance(answers, Problem):
            raise WorkerStartError(f"what was loaded does not run: {answers.message}")
        with self._changed:
            self.loaded[number] = answers[0]
            self._failure = None
            self._changed.notify_all()

    def _hand_out(self, process: "Process[Item, Result]") -> None:
        """Hand a process what waits, until it is gone or all is done."""
        while not process.gone:
            jobs = self._take()
            if jobs is None:
                return
            if jobs:
                self._judge(process, jobs)

    def _take(self) -> "list[_Job[Item, Result]] | None":
        """What to judge next, or None where all is done; nothing after a while of nothing."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(
                lambda: self._queue or self._background or self._closing, LOOK_AGAIN
            )
            self._idle -= 1
            queue = self._queue or self._background
            if not queue:
                return None if self._closing else []
            # What waits is shared with the workers that have nothing to do.
            count = min(self.batch, math.ceil(len(queue) / (self._idle + 1)))
            jobs = [queue.popleft()]
            while len(jobs) < count and not jobs[0].alone and not queue[0].alone:
                jobs.append(queue.popleft())
        return [job for job in jobs if job.alone or job.future.set_running_or_notify_cancel()]

    def _judge(self, process: "Process[Item, Result]", jobs: "list[_Job[Item, Result]]") -> None:
        if process.gone:  # while this thread waited: nobody's fault
            self._put_back(jobs)
            return
        began = time.monotonic()
        answers = process.ask(tuple(job.item for job in jobs))
        if isinstance(answers, list):
            for job, answer in zip(jobs, answers, strict=True):
                job.future.set_result(answer)
            self._pace += 0.1 * ((time.monotonic() - began) / len(jobs) - self._pace)
        elif len(jobs) == 1:
            jobs[0].future.set_result(answers)
        else:
            self._put_back(jobs)

    def _put_back(self, jobs: "list[_Job[Item, Result]]") -> None:
        """Have them judged before all others, and each alone: one of them may be to blame."""
        with self._changed:
            again = [_Job(job.item, job.future, alone=True) for job in reversed(jobs)]
            self._queue.extendleft(again)
            self._changed.notify_all()
