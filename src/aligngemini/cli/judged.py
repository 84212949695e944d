"""Labelled images and their verdicts, for the commands that fit something on them."""

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from aligngemini.cli.progress import progress
from aligngemini.datasets.manifest import Row
from aligngemini.evaluation.labelled import Joined
from aligngemini.images.sources import Item
from aligngemini.runner import DetectorOptions, default_workers, judge_paths
from aligngemini.settings import write_text
from aligngemini.verdict import Verdict


def judge_rows(
    rows: Sequence[Row],
    options: DetectorOptions,
    scores: Path,
    *,
    workers: int | None = None,
    timeout: float | None = None,
) -> list[Verdict]:
    """Verdicts on a manifest's images, which are also kept as records in `scores`.

    Raises:
        WorkerStartError: The detector could not be loaded.
        OSError: The records cannot be written.
    """
    items = [Item(row.path) for row in rows]
    verdicts = []
    workers = workers or default_workers(options)
    judged = judge_paths(items, options, workers=workers, timeout=timeout)
    with closing(judged), progress(len(items)) as step:
        for one in judged:
            verdicts.append(one.verdict)
            step()
    write_text("".join(f"{verdict.to_json()}\n" for verdict in verdicts), scores)
    print(f"The scores are in {scores}: give them with --scores another time.", file=sys.stderr)
    return verdicts


def say_left_out(joined: Joined) -> None:
    """Say on standard error what was not counted."""
    failed = sum(image.verdict.verdict is None for image in joined.images)
    for count, what in (
        (joined.rows_left, "rows of the manifest without a record"),
        (joined.records_left, "records without a row in the manifest"),
        (failed, "images without a verdict"),
    ):
        if count:
            print(f"Left out: {what}: {count}.", file=sys.stderr)
