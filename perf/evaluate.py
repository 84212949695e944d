"""Evaluation: scores to a full report, and what it costs beside bare detection.

    python perf/evaluate.py [--rows 100000] [--images 400] [--rounds 3]

The rows are drawn: ten subsets, two protocols, two branches. The images are drawn too, JPEG of
512 x 384, and judged by the expert that ships in one worker; CPU seconds are of all processes.
"""

import argparse
import io
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

GOAL_SECONDS, GOAL_BYTES = 30, 1 << 30


def drawn_rows(count):
    from aligngemini.evaluation.scores import ScoreRow
    from aligngemini.evidence import label_for

    rng = np.random.default_rng(0)
    columns = [(p, b) for p in ("as-is", "all-alike") for b in ("fused", "pixel")]
    rows = []
    for k in range(count // len(columns)):
        fake, subset = bool(k % 2), f"{k // 2 % 10}"
        folder = f"/data/benchmark/{subset}/{'1_fake' if fake else '0_real'}"
        for protocol, branch in columns:
            score = float(1 / (1 + np.exp(-rng.normal(1.0 if fake else -1.0, 1.5))))
            rows.append(
                ScoreRow(
                    path=f"{folder}/{k}.png",
                    sha256=f"{k:064x}",
                    label="fake" if fake else "real",
                    subset=f"subset-{subset}",
                    generator=f"generator-{subset}" if fake else "",
                    source="drawn",
                    protocol=protocol,
                    branch=branch,
                    model="m@1",
                    score=score,
                    verdict=label_for(score, 0.9, 0.4),
                    threshold=0.9,
                    threshold_real=0.4,
                    error="",
                )
            )
    return rows


def full_report(path):
    """What `evaluate` does with its scores, in a process of its own."""
    from aligngemini.evaluation.reports import write_reports
    from aligngemini.evaluation.scores import read_scores, write_scores
    from aligngemini.evaluation.table_file import write_table
    from aligngemini.evaluation.tables import make_table

    marks = [("start", time.perf_counter(), time.process_time())]

    def mark(name):
        marks.append((name, time.perf_counter(), time.process_time()))

    rows = read_scores(path)
    mark("read scores")
    table = make_table(rows, benchmark="drawn")
    mark("table")
    write_scores(rows, path.parent / "again.parquet")
    write_table(table, path.parent / "table.json")
    mark("write scores and table")
    write_reports(table, rows, path.parent)
    mark("reports")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{len(rows)} rows, {len(table.lines)} lines                 wall s   CPU s")
    for before, after in pairwise(marks):
        print(f"{after[0]:40}{after[1] - before[1]:10.1f}{after[2] - before[2]:8.1f}")
    print(f"{'all':40}{marks[-1][1] - marks[0][1]:10.1f}{marks[-1][2] - marks[0][2]:8.1f}")
    print(f"peak memory {peak / 2**20:.0f} MiB (goals: {GOAL_SECONDS} s, {GOAL_BYTES >> 20} MiB)")


def overhead(count, rounds, folder):
    from aligngemini.datasets.manifest import Row
    from aligngemini.evaluation.evaluate import evaluate
    from aligngemini.images.sources import Item
    from aligngemini.runner import DetectorOptions, judge_paths

    rng = np.random.default_rng(0)
    rows = []
    for k in range(count):
        pixels = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        noise = rng.normal(0, 12, (384, 512, 3))
        large = np.asarray(Image.fromarray(pixels).resize((512, 384), Image.Resampling.BICUBIC))
        file = io.BytesIO()
        Image.fromarray(np.clip(large + noise, 0, 255).astype(np.uint8)).save(file, "JPEG")
        path = folder / f"{k}.jpg"
        path.write_bytes(file.getvalue())
        rows.append(Row(str(path), "fake" if k % 2 else "real"))
    options = DetectorOptions(gamma="off", device="cpu")
    print(f"\n{count} images, one worker         CPU s: detection  evaluation   more")
    for k in range(rounds):
        bare = cpu_of(lambda: list(judge_paths([Item(r.path) for r in rows], options, workers=1)))
        out = folder / f"out-{k}"
        full = cpu_of(lambda out=out: evaluate(rows, ["as-is"], options, out, workers=1))
        print(f"round {k + 1}{bare:38.2f}{full:12.2f}{full / bare - 1:8.1%}")


def cpu_of(work):
    before = cpu()
    work()
    return cpu() - before


def cpu():
    """Seconds of this process and of those that ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--report-on", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.report_on is not None:
        full_report(given.report_on)
        return
    from aligngemini.evaluation.scores import write_scores

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "scores.parquet"
        write_scores(drawn_rows(given.rows), path)
        # A process of its own, so that its memory is that of the work.
        command = [sys.executable, __file__, "--report-on", str(path)]
        subprocess.run(command, check=True)
        overhead(given.images, given.rounds, Path(name))


if __name__ == "__main__":
    main()
