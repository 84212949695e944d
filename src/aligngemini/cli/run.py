"""One run of `aligngemini detect`, from inputs to exit code."""

import os
import sys
from collections.abc import Sequence
from contextlib import closing
from itertools import chain, islice

from aligngemini.cli.checks import ALL_JUDGED, SOME_NOT_JUDGED, WRONG_USE
from aligngemini.cli.progress import progress
from aligngemini.cli.results import Results, Targets
from aligngemini.cli.stopping import Stopped, Stopper
from aligngemini.cli.summary import Summary
from aligngemini.images.sources import Skipped, expand
from aligngemini.isolation import WorkerStartError
from aligngemini.runner import DetectorOptions, default_workers, judge_paths
from aligngemini.runtimes.folder import ModelError
from aligngemini.runtimes.published import PUBLISHED

COUNTED = 10_000  # inputs listed ahead, so that the progress bar knows how many there are

BROKEN_PIPE = 128 + 13  # what a program shows that SIGPIPE ended


def run(
    inputs: Sequence[str],
    options: DetectorOptions,
    targets: Targets,
    *,
    workers: int | None,
    timeout: float | None,
) -> int:
    """Judge the inputs and write the results; gives the exit code."""
    try:
        stopper = Stopper()
        with stopper.listening():
            return _run(inputs, options, targets, stopper, workers=workers, timeout=timeout)
    except Stopped as stopped:
        print("stopped", file=sys.stderr)
        return stopped.code
    except BrokenPipeError:
        discard_stdout()
        return BROKEN_PIPE
    except OSError as error:
        discard_stdout()
        return _fail(str(error))


def _run(
    inputs: Sequence[str],
    options: DetectorOptions,
    targets: Targets,
    stopper: Stopper,
    *,
    workers: int | None,
    timeout: float | None,
) -> int:
    skipped = Skipped()
    source = expand(inputs, stdin=sys.stdin, skipped=skipped)
    # A pipe may take its time: list no more of it than tells one input from several.
    limit = 2 if "-" in inputs else COUNTED
    ahead = list(islice(source, limit))
    if not ahead:
        left_out = f"; {skipped.count} files there are no images" if skipped.count else ""
        return _fail(f"found no image to judge{left_out}")
    total = len(ahead) if len(ahead) < limit else None
    try:
        fetch(options.pixel)
    except ModelError as error:
        return _fail(str(error))
    judged = judge_paths(
        chain(ahead, source),
        options,
        workers=min(workers or default_workers(options), total or sys.maxsize),
        timeout=timeout,
        previews=targets.report is not None,
        heatmaps=targets.report is not None,
        heatmap_dir=targets.heatmaps,
        stability=targets.stability,
    )
    results = Results(targets, Summary(), about=_about(inputs, options))
    streams_to_terminal = targets.format != "table" and targets.out is None and sys.stdout.isatty()
    stopped: Stopped | None = None
    with results.guarded():
        try:
            with closing(judged), progress(total, hidden=streams_to_terminal) as step:
                for one in judged:
                    with stopper.held():
                        results.add(one)
                    step()
        except Stopped as error:
            stopped = error
        except WorkerStartError as error:
            if results.opened:
                results.finish(skipped.count, error)
            return _fail(str(error))
        with stopper.held():
            results.finish(skipped.count, stopped)
    if stopped is not None:
        done = results.summary.total
        print(f"stopped after {done} of {total or 'many'}", file=sys.stderr)
        return stopped.code
    return SOME_NOT_JUDGED if results.summary.counts["unjudged"] else ALL_JUDGED


def fetch(experts: Sequence[str]) -> None:
    """Download published experts once, before several processes ask for them.

    Raises:
        ModelError: One cannot be had.
    """
    published = [name for name in experts if name in PUBLISHED or name.startswith("hf:")]
    if not published:
        return
    from aligngemini.branches.loading import fetch_pixel  # loads ONNX Runtime

    for name in published:
        fetch_pixel(name)


def _about(inputs: Sequence[str], options: DetectorOptions) -> dict[str, str]:
    """What the page says of the run."""
    return {
        "Inputs": " ".join(inputs),
        "Pixel expert": ", ".join(options.pixel),
        "Vision-language model": options.semantic,
        "GAMMA": options.gamma,
        "Fusion": options.fusion,
        "Thresholds": options.calibration or "the models' own",
        "Trusted signers": options.trust or "none",
    }


def _fail(message: str) -> int:
    print(f"aligngemini detect: {message}", file=sys.stderr)
    return WRONG_USE


def discard_stdout() -> None:
    """Leave nothing for the interpreter to flush into a closed pipe."""
    # The interpreter flushes standard output once more on its way out.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
