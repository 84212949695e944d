"""An ordered map over worker processes that outlives whatever happens inside them.

`concurrent.futures` and Pebble give up a whole pool when a worker dies at the wrong moment, and
neither hands the reason of a failed start back. Here every worker has a pipe of its own and one
item at a time, so a worker that dies or hangs takes exactly that item with it. The parent runs no
threads, which keeps `fork` safe.
"""

import contextlib
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from aligngemini import isolation_worker
from aligngemini.evidence import Problem
from aligngemini.isolation_worker import Prepare

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT = 512  # items taken from the source and not yet handed out
START_LIMIT = 600.0  # seconds a worker may take to load: models of many gigabytes
START_TRIES = 3  # workers that may die while loading, in a row, before the run is given up
GRACE = 0.5  # seconds a busy worker has to clean up after itself when the run is stopped


def quick_context() -> BaseContext:
    """How processes start at once: with all that this one has, which may have no threads."""
    # Forking spares each worker the interpreter's start; elsewhere system libraries forbid it.
    return get_context("fork" if sys.platform == "linux" else "spawn")


def clean_context() -> Any:
    """How processes start that take nothing over, and may be started by a program of threads."""
    # The fork server has no threads. Where there is none, the interpreter is started anew.
    return get_context("forkserver" if sys.platform == "linux" else "spawn")


class WorkerStartError(Exception):
    """A worker process could not be made ready; the cause is what it raised, if it raised."""


def map_isolated(
    prepare: Prepare[Item, Result],
    items: Iterable[Item],
    *,
    workers: int,
    timeout: float,
    memory: int | None = None,
) -> Generator[Result | Problem, None, None]:
    """Apply a function to items in worker processes, in order.

    The workers start at once and load while the caller goes on; closing the iterator, or losing
    it, ends them. Workers ignore Ctrl-C: it is for the parent to stop.

    Args:
        prepare: Called once in each worker; gives the function that answers items there. It,
            the items and the answers must be picklable.
        items: May be endless; at most `IN_FLIGHT` are taken ahead of the answers.
        workers: Processes, at least 1.
        timeout: Seconds one item may take; its worker is then killed and replaced.
        memory: Bytes a worker may allocate beyond what it took to get ready, where the platform
            can hold it to that.

    Returns:
        For each item its answer, or the `Problem` that stands for it: `timeout`, `crashed` (the
        process died or ran out of memory) or `internal` (the function raised).

    Raises:
        WorkerStartError: While iterating: `prepare` raised, or workers die or hang in it.
    """
    pool = Pool[Item, Result](prepare, workers, timeout, memory, quick_context())
    results = _results(pool, items)
    next(results)  # to the first yield: from here on closing the iterator ends the workers
    return results


def _results(pool: "Pool[Item, Result]", items: Iterable[Item]) -> Generator[Any, None, None]:
    source = iter(items)
    window: deque[Task[Item, Result]] = deque()
    more = True
    try:
        pool.start()
        yield None
        while True:
            # Hand out before taking more: the source may be a pipe that has nothing yet.
            while window and window[0].done:
                yield window.popleft().answer
            worker = pool.free_worker() if more and len(window) < IN_FLIGHT else None
            if worker is not None:
                try:
                    window.append(Task(next(source)))
                except StopIteration:
                    more = False
                else:
                    pool.give(worker, window[-1])
            elif more or window:
                pool.wait()
            else:
                return
    finally:
        pool.close()


@dataclass
class Task(Generic[Item, Result]):
    """An item on its way."""

    item: Item
    answer: Result | Problem | None = None
    done: bool = False

    def finish(self, answer: Result | Problem) -> None:
        """Give it its answer."""
        self.answer, self.done = answer, True
        del self.item  # it may carry its bytes, and the answer may wait long for its turn


@dataclass
class _Worker(Generic[Item, Result]):
    process: BaseProcess
    pipe: "connection.Connection[Any, Any]"
    deadline: float  # of its start, then of the item in hand
    ready: bool = False
    task: Task[Item, Result] | None = None

    @property
    def idle(self) -> bool:
        return self.ready and self.task is None


@dataclass
class Pool(Generic[Item, Result]):
    """The worker processes behind `map_isolated` and `isolation_stream.stream_isolated`."""

    prepare: Prepare[Item, Result]
    size: int
    timeout: float
    memory: int | None
    context: BaseContext
    reply: Callable[[Item, Any], Any] = lambda item, question: None
    workers: "list[_Worker[Item, Result]]" = field(default_factory=list)
    failed_starts: int = 0

    def start(self) -> None:
        """Start all workers; they load while the caller goes on."""
        for _ in range(self.size):
            self._add_worker()

    def free_worker(self) -> "_Worker[Item, Result] | None":
        """A worker with nothing to do; the lost ones are replaced here, when there is need."""
        for worker in [worker for worker in self.workers if worker.idle and worker.pipe.poll()]:
            self._died(worker)  # all that an idle one's pipe can bring is its end
        for _ in range(self.size - len(self.workers)):
            self._add_worker()
        return next((worker for worker in self.workers if worker.idle), None)

    def give(self, worker: "_Worker[Item, Result]", task: "Task[Item, Result]") -> None:
        """Put an item into a free worker's hands."""
        worker.task = task
        worker.deadline = time.monotonic() + self.timeout
        # A worker that died idle makes the pipe break here; `wait` then finds it gone.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            worker.pipe.send(task.item)

    def wait(self, at_most: float | None = None) -> None:
        """Wait for the next thing that happens to any worker, and deal with it."""
        deadlines = [worker.deadline for worker in self.workers if not worker.idle]
        if at_most is not None:
            deadlines.append(time.monotonic() + at_most)
        patience = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        ready = connection.wait([worker.pipe for worker in self.workers], patience)
        now = time.monotonic()
        for worker in list(self.workers):
            # What has answered is not late, however long the caller let the answer lie.
            if worker.pipe in ready:
                self._receive(worker)
            elif not worker.idle and now >= worker.deadline:
                limit = self.timeout if worker.ready else START_LIMIT
                self._drop(worker, Problem("timeout", f"not done after {limit:g} seconds"))

    def close(self) -> None:
        """End all workers."""
        for worker in self.workers:
            # A busy one may be writing a file, and gets the chance to take it away again.
            (worker.process.kill if worker.idle else worker.process.terminate)()
        patience = time.monotonic() + GRACE
        for worker in self.workers:
            worker.process.join(max(0.0, patience - time.monotonic()))
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()
        self.workers.clear()

    def _add_worker(self) -> None:
        ours, theirs = self.context.Pipe()
        forked = self.context.get_start_method() == "fork"
        # A forked child must not keep the parent's ends open, or it would never see them close.
        inherited = [ours, *(worker.pipe for worker in self.workers)] if forked else []
        limits = isolation_worker.Limits(self.timeout, START_LIMIT, self.memory)
        process = self.context.Process(  # type: ignore[attr-defined]  # every context has one
            target=isolation_worker.work,
            args=(theirs, inherited, self.prepare, limits),
            daemon=True,
        )
        with _signals_held():
            process.start()
            self.workers.append(_Worker(process, ours, time.monotonic() + START_LIMIT))
        theirs.close()

    def _receive(self, worker: "_Worker[Item, Result]") -> None:
        try:
            kind, payload = worker.pipe.recv()
        except (EOFError, OSError):
            self._died(worker)
            return
        if kind == "failed":
            cause = payload if isinstance(payload, Exception) else None
            raise WorkerStartError(str(payload) or repr(payload)) from cause
        if kind == "ready":
            worker.ready = True
            self.failed_starts = 0
        elif kind == "ask" and worker.task is not None:
            reply = self.reply(worker.task.item, payload)
            worker.deadline = time.monotonic() + self.timeout  # not of the time the reply took
            # A worker that died meanwhile is found by the next `wait`.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                worker.pipe.send(reply)
        elif worker.task is not None:
            worker.task.finish(payload)
            worker.task = None

    def _died(self, worker: "_Worker[Item, Result]") -> None:
        worker.process.join(GRACE)
        reason = cause_of_death(worker.process.exitcode)
        self._drop(worker, Problem("crashed", f"the process that judged it died ({reason})"))

    def _drop(self, worker: "_Worker[Item, Result]", problem: Problem) -> None:
        """Give up a worker: its item gets the problem, and a start that failed is counted."""
        self.workers.remove(worker)
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        if worker.task is not None:
            worker.task.finish(problem)
        if not worker.ready:
            self.failed_starts += 1
            if self.failed_starts >= START_TRIES:
                raise WorkerStartError(f"worker processes do not start: {problem.message}")


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Keep Ctrl-C from a child that has not yet got to ignoring it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, isolation_worker.HELD_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def cause_of_death(code: int | None) -> str:
    """Why a process ended, in words, by the exit code that `multiprocessing` gives it."""
    if code is None:
        return "unknown cause"
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"{name}, often a lack of memory" if name == "SIGKILL" else name
