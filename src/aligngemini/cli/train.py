"""`aligngemini train pixel`: a pixel expert from a manifest of images."""

import sys
from collections.abc import Sequence
from pathlib import Path

from aligngemini.cli.checks import WRONG_USE
from aligngemini.cli.parser import Parser, positive_int

DESCRIPTION = """Train a pixel expert and measure it on what it never saw.

First every generator and every photo source is held out once: a model is trained
without it and scores it, as is, re-encoded and at half size. Those scores set the
thresholds and fill the model card. Then a model is trained on everything and written
as a folder that `aligngemini detect --pixel DIR` takes.
"""

EPILOG = """the manifest (CSV or Parquet) has a row an image:
  path        relative to the manifest, or absolute
  label       real or fake
  generator   of a fake
  source      of a photo: where it came from; whole sources are held out
  pair        of a reconstruction: the photo it was made from

A run that was stopped goes on where it was when the same command is given again.
Needs the train extra: pip install "aligngemini[train]"

example:
  aligngemini train pixel --recipe compact --manifest images.csv --out my-expert
  aligngemini detect photo.jpg --pixel my-expert
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return WRONG_USE
    given = parser.parse_args(arguments)
    try:
        from aligngemini.training.compact import build_compact
    except ImportError as error:
        print(
            f"aligngemini train: {error.name} is not installed; "
            'pip install "aligngemini[train]" brings what training needs',
            file=sys.stderr,
        )
        return WRONG_USE
    from aligngemini.datasets.manifest import ManifestError
    from aligngemini.settings import SettingsError
    from aligngemini.training.export import ExportError
    from aligngemini.training.recipe import RecipeError, load_recipe

    try:
        recipe = load_recipe(given.recipe, steps=given.steps, seed=given.seed)
        work = given.work or given.out.with_name(given.out.name + "-work")
        fingerprint = build_compact(recipe, given.manifest, given.out, work, jobs=given.jobs)
    except (ManifestError, RecipeError, SettingsError, ExportError) as error:
        print(f"aligngemini train: {error}", file=sys.stderr)
        return WRONG_USE
    print(f"{given.out}: {fingerprint}; the measured figures are in {given.out / 'card.md'}")
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini train",
        usage="aligngemini train pixel --manifest FILE --out DIR [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add("what", choices=("pixel",), metavar="pixel", help="the branch to train")
    add("--manifest", type=Path, required=True, metavar="FILE", help="images to train on")
    add("--out", type=Path, required=True, metavar="DIR", help="model folder to write")
    add(
        "--recipe",
        default="compact",
        metavar="NAME",
        help="settings: compact (the default), or a YAML file",
    )
    add(
        "--work",
        type=Path,
        metavar="DIR",
        help="folder for views, checkpoints and predictions, several GB (default: DIR-work)",
    )
    add("--steps", type=positive_int, metavar="N", help="instead of the recipe's")
    add("--seed", type=int, metavar="N", help="instead of the recipe's")
    add(
        "--jobs",
        type=positive_int,
        default=1,
        metavar="N",
        help="models to train at the same time while measuring (default: 1)",
    )
    return parser
