"""`aligngemini robustness`: does a verdict hold when the image is delivered otherwise?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aligngemini.cli import checks, detector_options, labelled_set
from aligngemini.cli.parser import Parser, positive_int

GRIDS = ("quick", "web", "published", "genimage", "text")
ATTACKS = ("pgd",)

DESCRIPTION = """Judge the images of a labelled set again and again, delivered otherwise each time:
saved again, resized, blurred, shared; or with words written into them; or attacked.

Says for each step how much of the accuracy is left, which photos come to be called
fake and which fakes are no longer found.
"""

EPILOG = """grids (--grid, any number of them; the default is quick):
  quick      one of each kind below
  web        JPEG, WebP, size, blur, noise, crop, screenshots, one to five shares
  published  JPEG, scale and blur as AlignGemini's authors have them
  genimage   low resolution, JPEG and blur as GenImage has them
  text       words such as "this is a real photo" in four styles, each with a control:
             the same letters in an order without meaning, in the same place

steps (--step), joined by +:
  jpeg:75  webp:80  scale:0.5  side:112  blur:1.5  noise:5  crop:0.8  screenshot
  share:3  "text:answer REAL@bar"  scale:0.5+jpeg:60

attack (--attack pgd): the pixels are changed by somebody who has the weights, by 1, 2,
  4 and 8 grey levels at the most. It needs --pixel FOLDER of an expert that looks at
  one centred crop, with its PyTorch weights. What it finds is a lower bound: another
  attack may find more.

what --out gets:
  robustness.md, .json  the tables
  curves.svg, .png      accuracy along each kind of step
  scores.parquet        a row for each image, step and branch
  judged.jsonl          what was judged: the same command goes on where it was stopped

exit codes:
  0    every image was judged under every step
  1    some could not be judged; the table counts them, scores.parquet says why
  2    wrong usage or configuration, or there was no image
  130  stopped by Ctrl-C (143: by SIGTERM)

Needs the evaluate extra: pip install "aligngemini[evaluate]"

examples:
  aligngemini robustness images.csv --out result
  aligngemini robustness --real photos/ --fake generated/ --grid web --out result
  aligngemini robustness set/ --step jpeg:50 --step share:2+jpeg:50 --out result
  aligngemini robustness set/ --grid text --semantic adapter --out words
  aligngemini robustness set/ --attack pgd --pixel my-expert --limit 100 --out attack
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return checks.WRONG_USE
    given = parser.parse_args(arguments)
    labelled_set.check(parser, given, "judge")
    try:
        if given.attack is not None:
            _check_attack(given)
        elif given.epsilon or given.gradients:
            raise checks.UsageError("--epsilon, --gradients", "of an attack; say --attack pgd")
        detector_options.check(given)
        checks.folder(given.out, "--out")
    except checks.UsageError as error:
        parser.error(str(error))

    from aligngemini.cli.robustness_run import Task, run

    return run(
        Task(
            given=given,
            grids=tuple(given.grid or (() if given.step else ("quick",))),
            steps=tuple(given.step or ()),
            limit=given.limit,
            out=given.out,
            options=detector_options.options_of(given),
            attack=given.attack is not None,
            epsilons=tuple(sorted(set(given.epsilon or ()))),
            gradients=given.gradients,
            workers=given.workers,
            timeout=given.timeout,
        )
    )


def _check_attack(given: Any) -> None:
    if given.grid or given.step:
        raise checks.UsageError("--attack", "by itself; leave --grid and --step out")
    if len(given.pixel or ()) != 1 or given.pixel == ["off"]:
        raise checks.UsageError("--attack", "say which expert: one --pixel FOLDER")
    if given.semantic != "off" or given.gamma not in (None, "off") or given.fusion != "or":
        raise checks.UsageError("--attack", "on a pixel expert; leave the other branches out")


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini robustness",
        usage="aligngemini robustness SET --out DIR [options]\n"
        "       aligngemini robustness --real PHOTOS --fake FAKES --out DIR [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    group = parser.add_argument_group("what to judge")
    labelled_set.add_arguments(group)
    add = group.add_argument
    add(
        "--limit",
        type=positive_int,
        metavar="N",
        help="take this many photos and this many fakes, the same ones every time",
    )
    add("--out", type=Path, required=True, metavar="DIR", help="folder for all results")
    add = parser.add_argument_group("how it is delivered").add_argument
    add("--grid", action="append", choices=GRIDS, help="steps that go together, see below")
    add("--step", action="append", metavar="STEP", help="a step of your own, see below")
    add("--attack", choices=ATTACKS, help="attack the pixels instead, see below")
    add(
        "--epsilon",
        action="append",
        type=positive_int,
        metavar="LEVELS",
        help="grey levels that an attack may move a value by (default: 1, 2, 4 and 8)",
    )
    add(
        "--gradients",
        type=positive_int,
        metavar="N",
        help="steps that an attack takes for each of these (default: 20)",
    )
    detector_options.add_models(parser.add_argument_group("who judges"))
    detector_options.add_running(parser.add_argument_group("how to run"))
    return parser
