"""How far a scan is: inputs done, how many a second, and the time left once the total is known."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

REDRAWS_A_SECOND = 5


@contextmanager
def scan_progress(total: Callable[[], int | None]) -> Iterator[Callable[[], None]]:
    """Show a bar on standard error while the block runs, where somebody can see it.

    Args:
        total: Asked now and then for the number of inputs; None while nobody knows it.

    Yields:
        A function to call after each input.
    """
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.1f}/s")

    columns = (
        *(TextColumn("Scanning"), BarColumn(), MofNCompleteColumn(), Rate()),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    # Drawn by hand, as in cli/progress.py.
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=None)
        drawn = 0.0
        done = 0

        def step() -> None:
            nonlocal drawn, done
            done += 1
            if time.monotonic() - drawn >= 1 / REDRAWS_A_SECOND:
                bar.update(task, completed=done, total=total())
                bar.refresh()
                drawn = time.monotonic()

        yield step
