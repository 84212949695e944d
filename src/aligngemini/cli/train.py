"""`aligngemini train pixel`: a pixel expert from a manifest of images."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aligngemini.cli.checks import WRONG_USE
from aligngemini.cli.parser import Parser, positive_int
from aligngemini.cli.training_run import checking, not_installed, run_training, work_folder

if TYPE_CHECKING:
    import argparse

COMMAND = "aligngemini train"

DESCRIPTION = """Train a pixel expert into a folder that `aligngemini detect --pixel DIR` takes.

recipes:
  aligngemini-sd21  DINOv2 ViT-L with LoRA, as AlignGemini has it, on pairs of SD 2.1's VAE
  aligngemini-flux  its second expert, on pairs of FLUX's VAE
  dda               the same backbone by the published code of DDA
  linear-probe      the backbone as it is, and one linear unit: cheap
  compact           two small networks for CPUs, trained on AI images too
  FILE              a recipe of your own; those that ship show what it holds

compact first holds every generator and every photo source out once and scores it by a
model trained without it; those scores set the thresholds and fill the model card. The
others learn from pairs, a photo and its reconstruction, and take the checkpoint that
does best on the pairs of the split val.

The run ends with checks for what often goes wrong with detectors, such as going by the
files' format: one line each, also in the model's card (docs/failure-signatures.md).
"""

EPILOG = """the manifest (CSV or Parquet) has a row an image:
  path        relative to the manifest, or absolute
  label       real or fake
  generator   of a fake
  source      of a photo: where it came from; compact holds whole sources out
  split       of a pair: train (or empty) or val; compact does not read it
  pair        of a reconstruction: the photo it was made from

`aligngemini build pixel-set` makes pairs. A run that was stopped goes on where it was when
the same command is given again. Several GPUs: torchrun --nproc_per_node N --module
aligngemini train ... Needs the train extra: pip install "aligngemini[train]"

The semantic branch: aligngemini train semantic --help
GAMMA, which also says where: aligngemini train gamma --help

examples:
  aligngemini train pixel --recipe aligngemini-sd21 --manifest set/manifest.parquet --out sd21
  aligngemini train pixel --recipe linear-probe --backbone dinov2-small \\
      --manifest set/manifest.parquet --out probe
  aligngemini detect photo.jpg --pixel sd21
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    if arguments and arguments[0] == "semantic":
        from aligngemini.cli.train_semantic import main as train_semantic

        return train_semantic(arguments[1:])
    if arguments and arguments[0] == "gamma":
        from aligngemini.cli.train_gamma import main as train_gamma

        return train_gamma(arguments[1:])
    return _train_pixel(arguments)


def _train_pixel(arguments: Sequence[str]) -> int:
    parser = _parser()
    if not arguments:
        parser.print_help()
        return WRONG_USE
    given = parser.parse_args(arguments)
    try:
        from aligngemini.datasets.manifest import ManifestError
        from aligngemini.settings import SettingsError
        from aligngemini.training.export import ExportError
        from aligngemini.training.recipe import RecipeError
    except ImportError as error:
        return not_installed(COMMAND, error)
    return run_training(
        lambda: _train(given),
        given.out,
        command=COMMAND,
        mistakes=(ManifestError, RecipeError, SettingsError, ExportError),
        lighter="give a smaller --batch-size, or a recipe with gradient_checkpointing: true",
    )


def _train(given: "argparse.Namespace") -> str | None:
    from aligngemini.training.recipe import CompactRecipe, load_recipe

    recipe = load_recipe(
        given.recipe,
        steps=given.steps,
        seed=given.seed,
        backbone=given.backbone,
        batch_size=given.batch_size,
    )
    work = work_folder(given)
    if isinstance(recipe, CompactRecipe):
        from aligngemini.training.compact import build_compact

        return build_compact(
            recipe, given.manifest, given.out, work, jobs=given.jobs, progress=checking
        )
    from aligngemini.training.expert_build import build_expert

    return build_expert(
        recipe, given.manifest, given.out, work, workers=given.workers, progress=checking
    )


def _parser() -> Parser:
    parser = Parser(
        prog=COMMAND,
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
        help="one of the above, or a YAML file (default: compact)",
    )
    add(
        "--work",
        type=Path,
        metavar="DIR",
        help="folder for views, checkpoints and logs, several GB (default: DIR-work)",
    )
    add("--steps", type=positive_int, metavar="N", help="instead of the recipe's")
    add("--seed", type=int, metavar="N", help="instead of the recipe's")
    add(
        "--batch-size",
        type=positive_int,
        metavar="N",
        help="instead of the recipe's: images a step (compact), pairs a forward pass (others)",
    )
    add(
        "--backbone",
        metavar="NAME",
        help="instead of the recipe's: dinov2-small, dinov2-base, dinov2-large, dinov2-giant, "
        "dinov3-large, clip-large, siglip-large, a repository of the Hub, or a folder",
    )
    add(
        "--workers",
        type=int,
        metavar="N",
        help="processes that prepare pairs (default: one a core)",
    )
    add(
        "--jobs",
        type=positive_int,
        default=1,
        metavar="N",
        help="compact: models to train at the same time while measuring (default: 1)",
    )
    return parser
