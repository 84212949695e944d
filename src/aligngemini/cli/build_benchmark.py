"""`aligngemini build benchmark`: a test set of one's own, in AIGI-Now's two parts."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aligngemini.cli.checks import SOME_NOT_JUDGED, WRONG_USE
from aligngemini.cli.parser import Parser, positive_int, seed, share

DESCRIPTION = """Make a benchmark out of photos and AI images, as AIGI-Now is made.

Every fake is matched with a photo of its shape, and the pair is written twice. The
pixel part has both at native resolution, cut to one size, as JPEG of one quality:
what is left to tell them apart is how their pixels were made. The semantic part has
both degraded by one chain with the same draws, until only what they show is left;
a probe that sees pixels alone then measures whether that worked.
"""

EPILOG = """inputs, of --real and --fake alike:
  files, folders with all below them, quoted patterns, .tar and .tar.gz archives, and
  manifests (.csv, .parquet). A fake's group is its generator: the manifest's column,
  or the name of the folder or archive it lies in.

what is written:
  GROUP/pixel/0_real/, 1_fake/        JPEG
  GROUP/semantic/0_real/, 1_fake/     JPEG
  manifest.parquet   a row an image, with everything that was drawn for it
  leakage.json       how well pixels alone tell the classes apart, by group
  failed.csv         images left out, and why
  settings.json, journal/             for going on

A run that was stopped goes on where it was when the same command is given again.
Needs the train extra: pip install "aligngemini[train]"

exit codes:
  0    the benchmark is built
  1    it is, but a semantic part leaks (--probe-limit), or some images could not be
       used (failed.csv says why)
  2    wrong usage or configuration, or nothing to build from
  130  stopped by Ctrl-C

examples:
  aligngemini build benchmark --real coco/val2017 --fake flux/ gpt4o/ --out mine
  aligngemini build benchmark --real photos/ --fake ai.csv --out mine --count 1000
  aligngemini evaluate --benchmark manifest --root mine/manifest.parquet --out result
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return WRONG_USE
    given = parser.parse_args(arguments)
    if not (given.real and given.fake):
        parser.error("say what to build from: --real and --fake")
    try:
        import pyarrow  # noqa: F401 - imported now, so that its absence is said
        import sklearn  # noqa: F401
    except ModuleNotFoundError as error:
        return _fail(
            f"{error.name} is not installed; "
            'pip install "aligngemini[train]" brings what building needs'
        )
    from aligngemini.datasets.benchmark_set import BenchmarkSetError
    from aligngemini.datasets.manifest import ManifestError

    try:
        return _build(given)
    except (BenchmarkSetError, ManifestError) as error:
        return _fail(str(error))


def _build(given: Any) -> int:
    from aligngemini.cli.progress import progress
    from aligngemini.cores import usable_cores
    from aligngemini.datasets.benchmark_set import BenchmarkSetConfig, build_benchmark_set
    from aligngemini.datasets.candidates import find_candidates

    candidates = []
    for label, names in (("real", given.real), ("fake", given.fake)):
        for name in names:
            if Path(name).is_dir() and given.out.resolve().is_relative_to(Path(name).resolve()):
                return _fail(f"{given.out} lies among the images of {name}; give another folder")
        with progress(None, text=f"Looking for {label} images") as step:
            found = find_candidates(names, label, step=step)
        if not found:
            return _fail(f"found no {label} image")
        candidates += found
    config = BenchmarkSetConfig(
        count=given.count,
        max_side=given.max_side,
        semantic_side=given.semantic_side,
        min_side=given.min_side,
        quality=given.quality,
        seed=given.seed,
    )
    threads = given.workers or usable_cores()
    summary = build_benchmark_set(candidates, given.out, config, threads=threads, progress=progress)
    for group, pairs in summary.groups.items():
        print(f"{given.out / group}: {pairs} pairs")
    if summary.duplicates:
        print(f"{summary.duplicates} duplicates left out", file=sys.stderr)
    if summary.failed:
        table = given.out / "failed.csv"
        print(f"{summary.failed} images could not be used: {table} says why", file=sys.stderr)
    leaks = _probe(given, summary, threads)
    return SOME_NOT_JUDGED if leaks or summary.failed else 0


def _probe(given: Any, summary: Any, threads: int) -> bool:
    """Measure what pixels tell in each semantic part, and say it; whether one tells too much."""
    import json

    from aligngemini.cli.progress import progress
    from aligngemini.datasets.leakage import TooFewPairsError, leakage_report, probe_set
    from aligngemini.datasets.pixel_set_files import write_whole

    reports, leaking = {}, []
    for group in summary.groups:
        rows = [row for row in summary.rows if row.extra["subset"] == f"{group}/semantic"]
        try:
            found = probe_set(
                rows, limit=given.probe_limit, seed=given.seed, threads=threads, progress=progress
            )
        except TooFewPairsError as error:
            print(f"{group}/semantic: leakage was not measured: {error}", file=sys.stderr)
            reports[group] = leakage_report(str(error))
            continue
        reports[group] = leakage_report(found)
        figure, motif = found.balanced_accuracy, found.motif
        print(
            f"{group}/semantic, pixels alone: balanced accuracy {figure.value:.2f} "
            f"({figure.low:.2f} to {figure.high:.2f}; chance is 0.50), of thumbnails without any "
            f"trace {motif.value:.2f}, limit {found.limit:.2f}"
        )
        if found.leaks:
            leaking.append(group)
    write_whole(given.out / "leakage.json", (json.dumps(reports, indent=2) + "\n").encode())
    if leaking:
        print(
            f"aligngemini build: THE SEMANTIC PART LEAKS in {', '.join(leaking)}: its classes can "
            "be told apart without looking at what they show. As far as thumbnails tell them apart "
            "too, the collections differ in their subjects; choose photos that are more alike.",
            file=sys.stderr,
        )
    return bool(leaking)


def _fail(message: str) -> int:
    print(f"aligngemini build: {message}", file=sys.stderr)
    return WRONG_USE


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini build",
        usage="aligngemini build benchmark --real PATH --fake PATH --out DIR [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    paths: dict[str, Any] = {"nargs": "+", "action": "extend", "default": [], "metavar": "PATH"}
    add("--real", help="photos", **paths)
    add("--fake", help="AI images", **paths)
    add("--out", type=Path, required=True, metavar="DIR", help="folder to build in")
    add(
        "--count",
        type=positive_int,
        metavar="N",
        help="images of each class in a group (default: as many as there are)",
    )
    add("--seed", type=seed, default=0, metavar="N", help="of every draw (default: 0)")
    sides = {
        "--max-side": (1024, "longest side of the pixel part"),
        "--semantic-side": (512, "longest side of the semantic part"),
        "--min-side": (256, "images with a shorter side are left out"),
    }
    for option, (default, text) in sides.items():
        add(
            option,
            type=positive_int,
            default=default,
            metavar="PX",
            help=f"{text} (default: {default})",
        )
    add(
        "--quality",
        type=int,
        choices=range(1, 101),
        default=96,
        metavar="Q",
        help="of every JPEG written, 1 to 100 (default: 96)",
    )
    add(
        "--probe-limit",
        type=share,
        default=0.6,
        metavar="SHARE",
        help="most balanced accuracy of a model that sees the semantic part's pixels only "
        "(default: 0.6)",
    )
    add(
        "--workers",
        type=positive_int,
        metavar="N",
        help="threads that decode, degrade and save (default: one a CPU)",
    )
    return parser
