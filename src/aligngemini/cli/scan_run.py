"""A scan from start to end: the engine, the store, the progress, the metrics, the exit code."""

import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aligngemini.cli.checks import ALL_JUDGED, SOME_NOT_JUDGED, WRONG_USE
from aligngemini.cli.run import fetch
from aligngemini.cli.scan_engines import EngineError, open_engine
from aligngemini.cli.scan_progress import scan_progress
from aligngemini.cli.scan_words import headline, remarks
from aligngemini.cli.stopping import Stopped, Stopper
from aligngemini.images.sources import Skipped
from aligngemini.isolation import WorkerStartError
from aligngemini.runtimes.folder import ModelError
from aligngemini.scan.counting import counted
from aligngemini.scan.items import ScanItem
from aligngemini.scan.loop import scan
from aligngemini.scan.metrics import MetricsError, check_metrics, write_metrics
from aligngemini.scan.request import Request
from aligngemini.scan.run import Run
from aligngemini.scan.sources import SourceError, open_sources
from aligngemini.scan.store import Store, StoreError
from aligngemini.scan.tally import Tally

METRICS_SECONDS = 10.0
LEASE = 60.0  # seconds beyond what one input may take


@dataclass(frozen=True)
class Running:
    """How to run a scan; checked already.

    Attributes:
        store: The file.
        workers: Processes, or None.
        timeout: Seconds for one input, or None.
        watch: Seconds between looks, or None for a single one.
        metrics: File for them, or None.
        engine: `local` or `ray`.
        address: Of a Ray cluster, or None.
        pools: Of workers there, as the command line has them.
        retry: Codes of errors to try again.
    """

    store: Path
    workers: int | None = None
    timeout: float | None = None
    watch: float | None = None
    metrics: Path | None = None
    engine: str = "local"
    address: str | None = None
    pools: tuple[str, ...] = ()
    retry: Collection[str] = ()


def run(request: Request, running: Running, *, prog: str) -> int:
    """Do what was asked; gives the exit code."""
    try:
        stopper = Stopper()
        with stopper.listening():
            return _run(request, running, stopper, prog)
    except Stopped as stopped:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return stopped.code
    except (
        *(StoreError, MetricsError, EngineError, SourceError),
        *(ModelError, WorkerStartError, OSError),
    ) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return WRONG_USE


def _run(request: Request, running: Running, stopper: Stopper, prog: str) -> int:
    """One scan; says on standard error what came of it, however it ends."""
    if running.metrics is not None:
        check_metrics(running.metrics)
    fetch(request.detector.pixel)
    skipped = Skipped()

    def look() -> Iterable[ScanItem]:
        skipped.count = 0  # what the look before counted
        return sources(skipped=skipped, stdin=sys.stdin)

    near = request.near != "off"
    sources = partial(open_sources, request.sources, column=request.column)
    sources()  # what cannot be opened at all is an error before the work
    with ExitStack() as ends:
        total = ends.enter_context(counted(_countable(request, sources)))
        engine = ends.enter_context(open_engine(request.detector, running, near=near))
        store = ends.enter_context(Store(running.store, create=True))
        if running.retry and not store.knows(engine.identity.fingerprint):
            raise StoreError(
                "the models, the rule or the calibration are no longer those that left the errors: "
                "scan again, and all is judged anew"
            )
        work = Run(
            store,
            engine.identity,
            command=request.to_dict(),
            retry=running.retry,
            lease=engine.timeout + LEASE,
            near=near,
        )
        tally = Tally(engine.workers)
        step = ends.enter_context(scan_progress(total))
        report = ends.enter_context(_reported(tally, running))
        try:
            scan(
                engine.answers,
                look,
                work,
                tally,
                watch=running.watch,
                take_over=request.near == "skip",
                step=_both(step, report),
                guard=stopper.held,
            )
        finally:
            print(headline(tally), *remarks(tally, skipped.count), sep="\n", file=sys.stderr)
    if not tally.total and not tally.taken:
        left_out = f"; {skipped.count} files there are no images" if skipped.count else ""
        print(f"{prog}: found no image to judge{left_out}", file=sys.stderr)
        return WRONG_USE
    return SOME_NOT_JUDGED if tally.errors else ALL_JUDGED


@contextmanager
def _reported(tally: Tally, running: Running) -> Iterator[Callable[[], None]]:
    """Keep the metrics up to date while the block runs, by calling what it yields."""
    path = running.metrics
    if path is None:
        yield lambda: None
        return
    written = 0.0

    def report() -> None:
        nonlocal written
        if time.monotonic() - written >= METRICS_SECONDS:
            write_metrics(tally, path)
            written = time.monotonic()

    try:
        yield report
    finally:
        write_metrics(tally, path)


def _both(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        first()
        second()

    return call


def _countable(
    request: Request, sources: Callable[[], Iterable[ScanItem]]
) -> Callable[[], Iterable[ScanItem]] | None:
    """The sources, where somebody watches and listing them twice costs next to nothing."""
    cheap = all(spec != "-" and "://" not in spec for spec in request.sources)
    return sources if cheap and sys.stderr.isatty() else None
