"""How many inputs there are, counted beside the scan."""

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection

from aligngemini.scan.items import ScanItem


@contextmanager
def counted(sources: Callable[[], Iterable[ScanItem]] | None) -> Iterator[Callable[[], int | None]]:
    """Count in a process of its own while the block runs.

    Args:
        sources: Opens what is counted; None where counting would cost too much.

    Yields:
        A function that gives the number, None while it is not known.
    """
    if sources is None:
        yield lambda: None
        return
    ours, theirs = get_context().Pipe(duplex=False)
    process = get_context().Process(target=_count, args=(sources, theirs), daemon=True)
    process.start()
    theirs.close()
    total: int | None = None

    def known() -> int | None:
        nonlocal total
        if total is None and ours.poll():
            try:
                total = int(ours.recv())
            except EOFError:  # it died; then nobody knows
                return None
        return total

    try:
        yield known
    finally:
        process.kill()
        process.join()
        ours.close()


def _count(sources: Callable[[], Iterable[ScanItem]], pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both, and the parent answers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    pipe.send(sum(1 for _ in sources()))
