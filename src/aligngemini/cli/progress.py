"""The progress bar: on standard error, and only where somebody can see it."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

REDRAWS_A_SECOND = 10


@contextmanager
def progress(
    total: int | None, *, text: str = "Judging", hidden: bool = False
) -> Iterator[Callable[[], None]]:
    """Show a bar while the block runs.

    Args:
        total: Steps to come; None when nobody knows yet. One step is not worth a bar.
        text: What is being done.
        hidden: Whether something else already keeps the terminal busy.

    Yields:
        A function to call after each step.
    """
    if hidden or total == 1 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(text), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    # Drawn by hand: a thread of rich's own would be there when worker processes are forked.
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=total)
        bar.refresh()
        drawn = time.monotonic()

        def step() -> None:
            nonlocal drawn
            bar.advance(task)
            if time.monotonic() - drawn >= 1 / REDRAWS_A_SECOND:
                bar.refresh()
                drawn = time.monotonic()

        yield step
