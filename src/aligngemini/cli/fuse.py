"""`aligngemini fuse fit`: how much each branch counts, learned from images with known labels."""

import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aligngemini.cli import checks
from aligngemini.cli.parser import Parser, positive_int
from aligngemini.runtimes.published import DEFAULT_GAMMA

if TYPE_CHECKING:
    from aligngemini.evaluation.labelled import Joined
    from aligngemini.fusion.fitted import FusionFile
DESCRIPTION = """Fit how branches are joined into one verdict, on images with known labels.

Two thirds of the images set the weights and thresholds, the held-out others
measure them: the share of photos called fake is printed with its upper bound and
kept in the file. There is a fit for every set of branches that may give a score,
so that an image on which one fails is read with thresholds set without it.
"""

EPILOG = """the rules:
  learned   logistic regression on the branches' log-odds (the default)
  weighted  a weighted mean of the log-odds; for few images

the manifest (CSV or Parquet) has a row an image: path, label (real or fake) and,
for a fake made from a photo, pair: the two stay on one side of the split. Take
images on which no model was trained, or the fit will believe too much.

Needs the train extra: pip install "aligngemini[train]"

examples:
  aligngemini detect images/ --format jsonl --out scores.jsonl
  aligngemini fuse fit --manifest images.csv --scores scores.jsonl --out rule.json
  aligngemini fuse fit --manifest images.csv --pixel my-expert --out rule.json
  aligngemini detect photo.jpg --pixel my-expert --fusion rule.json
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return checks.WRONG_USE
    given = parser.parse_args(arguments)
    experts = tuple(given.pixel or ("compact",))
    try:
        checks.outputs(
            [given.manifest, given.scores or ""], out=given.out, report=None, heatmaps=None
        )
        checks.detector(
            pixel=experts,
            semantic=given.semantic != "off",
            vlm_options=False,
            fusion="or",
            heatmaps=None,
        )
        if given.scores is not None and (given.pixel or given.semantic != "off" or given.gamma):
            raise checks.UsageError(
                "--scores", "judged already; leave --pixel, --semantic and --gamma out"
            )
    except checks.UsageError as error:
        parser.error(str(error))
    try:
        from aligngemini.evaluation.fusion_fit import fit_fusion
        from aligngemini.evaluation.labelled import RecordsError, join_labels, read_records
    except ImportError as error:
        return _fail(
            f'{error.name} is not installed; pip install "aligngemini[train]" brings what '
            "fitting needs"
        )
    from aligngemini.cli.judged import judge_rows, say_left_out
    from aligngemini.datasets.manifest import ManifestError, read_manifest
    from aligngemini.fusion import FusionError
    from aligngemini.fusion.fitted import write_fusion
    from aligngemini.isolation import WorkerStartError
    from aligngemini.runner import DetectorOptions

    try:
        rows = read_manifest(given.manifest)
        if given.scores is None:
            options = DetectorOptions(
                pixel=experts,
                semantic=given.semantic,
                gamma=given.gamma or DEFAULT_GAMMA,
                device=given.device,
            )
            verdicts = judge_rows(
                rows, options, given.out.with_suffix(".scores.jsonl"), workers=given.workers
            )
        else:
            verdicts = read_records(given.scores)
        joined = join_labels(rows, verdicts)
        say_left_out(joined)
        file = fit_fusion(
            joined.images,
            rule=given.rule,
            fitted_on=f"{given.manifest.name}, {_counts(joined)}",
            false_alarm_rate=given.false_alarm_rate,
            seed=given.seed,
        )
        write_fusion(file, given.out)
    except (FusionError, ManifestError, RecordsError, WorkerStartError, OSError) as error:
        return _fail(str(error))
    _print_figures(file, given.out)
    return 0


def _counts(joined: "Joined") -> str:
    judged = [image.row.label for image in joined.images if image.verdict.verdict is not None]
    return f"{judged.count('real')} photos and {judged.count('fake')} fakes"


def _print_figures(file: "FusionFile", out: Path) -> None:
    from aligngemini.report.words import share

    print(f"{out}: {file.rule}, fitted on {file.fitted_on}")
    for one in file.combinations:
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in one.weights.items())
        print(
            f"\n{' and '.join(one.weights)}\n"
            f"  weights          {weights}; bias {one.bias:.2f}\n"
            f"  thresholds       fake from {one.threshold:.2f}, "
            f"real below {one.threshold_real:.2f}\n"
            f"  held-out photos  {share(one.false_alarm_rate)} of {one.photos} called fake "
            f"(95 % sure: at most {share(one.false_alarm_bound)})\n"
            f"  held-out fakes   {share(one.recall)} of {one.fakes} called fake, "
            f"{share(one.miss_rate)} called real"
        )


def _fail(message: str) -> int:
    print(f"aligngemini fuse: {message}", file=sys.stderr)
    return checks.WRONG_USE


def _rate(text: str) -> float:
    value = float(text)
    if not 0 <= value < 0.5:
        raise ArgumentTypeError("must lie between 0 and 0.5")
    return value


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini fuse",
        usage="aligngemini fuse fit --manifest FILE --out FILE.json [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add("what", choices=("fit",), metavar="fit", help="what to do with the rule")
    add("--manifest", type=Path, required=True, metavar="FILE", help="images and their labels")
    add(
        "--scores",
        type=Path,
        metavar="FILE.jsonl",
        help="records of detect --format jsonl on these images, found by path or SHA-256; without "
        "it the images are judged first",
    )
    add(
        "--out",
        type=Path,
        required=True,
        metavar="FILE.json",
        help="fusion file to write, for detect --fusion; a file there is replaced",
    )
    add("--rule", choices=("learned", "weighted"), default="learned", help="default: learned")
    add(
        "--false-alarm-rate",
        type=_rate,
        default=0.01,
        metavar="RATE",
        help="share of photos that may be called fake, from 0 to below 0.5 (default: 0.01)",
    )
    add("--seed", type=int, default=0, metavar="N", help="of the split (default: 0)")
    add = parser.add_argument_group("how to judge, without --scores").add_argument
    add(
        "--pixel",
        action="append",
        metavar="MODEL",
        help="as of aligngemini detect; may be given several times",
    )
    add(
        "--semantic",
        default="off",
        metavar="MODEL",
        help="as of aligngemini detect (default: off)",
    )
    add("--gamma", metavar="MODEL", help=f"as of aligngemini detect (default: {DEFAULT_GAMMA})")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where models run")
    add("--workers", type=positive_int, metavar="N", help="processes (default: one a CPU)")
    return parser
