"""Ctrl-C and its like, turned into an orderly end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # the last: the terminal was closed


class Stopped(KeyboardInterrupt):
    """A signal asked the run to end.

    Attributes:
        code: The exit code that shells give a program which that signal ended.
    """

    def __init__(self, signum: int) -> None:
        super().__init__()
        self.code = 128 + signum


class Stopper:
    """Raises `Stopped` when a signal comes, but never in the middle of a record."""

    def __init__(self) -> None:
        self._held = False
        self._waiting: int | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals over while the block runs."""
        numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
        # `nohup` and a shell's background jobs have some of them ignored, and mean it.
        ours = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
        before = [signal.signal(number, self._handle) for number in ours]
        try:
            yield
        finally:
            for number, handler in zip(ours, before, strict=True):
                signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the block finish first; a second signal does not wait, should the block hang."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            raise Stopped(waiting)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self._held and self._waiting is None:
            self._waiting = signum
        else:
            raise Stopped(signum)
