"""One worker process, spoken to by one thread."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from aligngemini import isolation_worker
from aligngemini.evidence import Problem
from aligngemini.isolation import (
    GRACE,
    START_LIMIT,
    WorkerStartError,
    cause_of_death,
    clean_context,
)
from aligngemini.isolation_worker import Limits, Prepare, problem_of

Item = TypeVar("Item")
Result = TypeVar("Result")


class WorkerProcess(Generic[Item, Result]):
    """A process that has loaded a function and answers items with it.

    It is no child of this process but of a server that forks without threads, so that it may be
    started at any time, from any thread.
    """

    def __init__(
        self, prepare: Prepare[Item, Result], *, timeout: float, memory: int | None
    ) -> None:
        """Start the process; it loads while the caller goes on.

        Args:
            prepare: Called once there; gives the function that answers.
            timeout: Seconds one item may take.
            memory: Bytes the process may allocate beyond what it took to get ready, or None.
        """
        context = clean_context()
        self.timeout = timeout
        self._pipe, theirs = context.Pipe()
        limits = Limits(timeout, START_LIMIT, memory)
        self._process = context.Process(
            target=isolation_worker.work, args=(theirs, [], prepare, limits), daemon=True
        )
        self._process.start()
        theirs.close()

    def wait_ready(self) -> None:
        """Wait until the function is loaded.

        Raises:
            WorkerStartError: `prepare` raised (the cause is what), or the process died in it.
        """
        kind, payload = self._ask(START_LIMIT)
        if kind != "ready":
            self.kill()
            cause = payload if isinstance(payload, Exception) else None
            text = payload.message if isinstance(payload, Problem) else str(payload)
            raise WorkerStartError(text or repr(payload)) from cause

    @property
    def gone(self) -> bool:
        """Whether the process has ended; to be asked between two items only."""
        # All that the pipe of an idle worker can bring is its end.
        return bool(self._pipe.closed or self._pipe.poll())

    def ask(self, item: Item) -> Result | Problem:
        """The answer, or the `Problem` that stands for it; the process may then be gone."""
        answer: Result | Problem = self._ask(self.timeout, item)[1]
        return answer

    def interrupt(self) -> None:
        """Have whatever it does fail; from another thread."""
        self._process.kill()

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _ask(self, limit: float, *items: Item) -> tuple[str, Any]:
        """Send, if there is anything to send, and wait for what comes back."""
        with self._killed_after(limit) as late:
            try:
                for item in items:
                    self._pipe.send(item)
                answer: tuple[str, Any] = self._pipe.recv()
            except Exception as error:  # after which nobody knows what the pipe holds
                problem = self._lost(error)
            else:
                return answer
        self.kill()
        if late.is_set():
            problem = Problem("timeout", f"not done after {limit:g} seconds")
        return "lost", problem

    def _lost(self, error: Exception) -> Problem:
        """What an exchange that failed is called."""
        if not isinstance(error, EOFError | OSError):
            return problem_of(error)
        self._process.join(GRACE)
        reason = cause_of_death(self._process.exitcode)
        return Problem("crashed", f"the process that judged it died ({reason})")

    @contextlib.contextmanager
    def _killed_after(self, seconds: float) -> Iterator[threading.Event]:
        """Kill the process if the block takes longer; the event then says so.

        A limit on the wait alone would not do: a process that is stopped takes nothing either.
        """
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield late
        finally:
            timer.cancel()
