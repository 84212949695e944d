"""The child's side of `isolation`: load, then answer one item after the other."""

import contextlib
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import ceil
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeAlias, TypeVar

from aligngemini.evidence import Problem

Item = TypeVar("Item")
Result = TypeVar("Result")

Prepare: TypeAlias = Callable[[], Callable[[Item], Result]]

ORPHAN_GRACE = 5  # seconds over its limit after which a worker ends itself
HELD_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_parent: "Connection[Any, Any] | None" = None


@dataclass(frozen=True)
class Limits:
    """What a worker may take.

    Attributes:
        timeout: Seconds for one item.
        start: Seconds to get ready.
        memory: Bytes it may allocate beyond what it took to get ready, or None.
    """

    timeout: float
    start: float
    memory: int | None


def work(
    pipe: "Connection[Any, Any]",
    inherited: Iterable["Connection[Any, Any]"],
    prepare: Prepare[Any, Any],
    limits: Limits,
) -> None:
    """Run one worker until the parent closes its end of the pipe.

    Args:
        pipe: Items come in; out go `("ready", None)` or `("failed", exception or text)` once,
            then one `("answer", answer or Problem)` an item, and any number of
            `("ask", question)` before it, each of which gets a reply in the other direction.
        inherited: The parent's ends of pipes, which only the parent may hold.
        prepare: Gives the function that answers.
        limits: What the worker may take.
    """
    global _parent  # noqa: PLW0603 - one process, one parent
    _parent = pipe
    _own_signals()
    for theirs in inherited:
        theirs.close()
    # Standard output is the parent's results; what a C library has to say is no result.
    with contextlib.suppress(OSError):
        os.dup2(2, 1)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # parent is gone
        with _last_resort(limits.start):
            try:
                function = prepare()
            except Exception as error:
                pipe.send(("failed", _portable(error)))
                return
        _limit_memory(limits.memory)
        pipe.send(("ready", None))
        while True:
            item = pipe.recv()
            with _last_resort(limits.timeout):
                answer = _answer(function, item)
            pipe.send_bytes(answer)


def ask(question: Any) -> Any:
    """Ask the parent, while an item is in hand; see `isolation_stream.stream_isolated`.

    Raises:
        RuntimeError: This is no worker.
    """
    if _parent is None:
        raise RuntimeError("nobody to ask: this process is no worker")
    left = _alarm(0)  # however long the parent takes, it is not the item that hangs
    _parent.send(("ask", question))
    reply = _parent.recv()
    _alarm(left)
    return reply


def _answer(function: Callable[[Any], Any], item: Any) -> Any:
    """The pickled answer; whatever goes wrong on the way is an answer too."""
    try:
        return ForkingPickler.dumps(("answer", function(item)))
    except Exception as error:
        return ForkingPickler.dumps(("answer", problem_of(error)))


def problem_of(error: Exception) -> Problem:
    """The problem that stands for what a function raised."""
    if isinstance(error, MemoryError):
        return Problem("crashed", "judging it took more memory than a worker may have")
    return Problem("internal", _describe(error))


def _describe(error: Exception) -> str:
    """What was raised, and where: the frame nearest to the cause."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return text + where


def _portable(error: Exception) -> Exception | str:
    """The exception if it survives the way to the parent, else its text."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:
        return _describe(error)
    return error


def _own_signals() -> None:
    # Ctrl-C reaches the whole process group, and the parent decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    # An exception, so that half-written files are taken away on the way out.
    sys.exit(128 + signum)


@contextlib.contextmanager
def _last_resort(seconds: float) -> Iterator[None]:
    """Let the system end this process some time after the parent should have.

    It is for a worker that hangs when its parent has been killed and nobody else is left.
    """
    _alarm(ceil(seconds) + ORPHAN_GRACE)
    yield
    _alarm(0)


def _alarm(seconds: int) -> int:
    """Have the system end this process after so many seconds, 0 for never; gives what was left."""
    return signal.alarm(seconds) if hasattr(signal, "alarm") else 0


def _limit_memory(extra: int | None) -> None:
    if extra is None or sys.platform != "linux":
        return
    import resource  # noqa: PLC0415 - Unix only

    # Not RLIMIT_AS: thread stacks and memory maps reserve address space by the gigabyte unused.
    with contextlib.suppress(OSError, ValueError):  # no /proc, or a lower ceiling stands already
        pages = int(Path("/proc/self/statm").read_text().split()[5])  # private and writable so far
        limit = pages * resource.getpagesize() + extra
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
