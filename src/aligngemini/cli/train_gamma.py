"""`aligngemini train gamma`: a network that says whether an image was changed, and where."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from aligngemini.cli.checks import WRONG_USE
from aligngemini.cli.parser import Parser, positive_int
from aligngemini.cli.progress import progress
from aligngemini.cli.training_run import not_installed, run_training, work_folder

COMMAND = "aligngemini train gamma"

DESCRIPTION = """Train GAMMA, for `aligngemini detect --gamma DIR`.

recipes:
  gamma-compact   a small network for CPUs; copied and foreign pixels are fake too
  gamma-genimage  DINOv2 ViT-L with LoRA; only what was generated is fake
  FILE            a recipe of your own (YAML); docs/training-gamma.md says what it holds

One network learns three things together: whether a crop was changed, which pixels were
generated, and which were moved or are foreign. The checkpoint that does best on crops of
held-out images is kept, measured on whole held-out images, and its thresholds are set so
that at most one held-out photo in a hundred is called fake.

The run ends with checks for what often goes wrong with detectors, such as going by the
files' format: one line each, also in the model's card (docs/failure-signatures.md).
"""

EPILOG = """the data:
  --manifest takes what `aligngemini build manipulation-set` wrote. Images of the split val
  are held out; photos nobody touched belong into both splits.

A run that was stopped goes on where it was when the same command is given again. Several
GPUs: torchrun --nproc_per_node N --module aligngemini train gamma ... Needs the train
extra: pip install "aligngemini[train]"

exit codes:
  0    the model folder is written
  2    wrong usage or configuration, or nothing to train on
  130  stopped by Ctrl-C

examples:
  aligngemini train gamma --manifest set/manifest.parquet --out gamma
  aligngemini train gamma --recipe gamma-genimage --manifest set/manifest.parquet \\
      --out gamma-large
  aligngemini detect photo.jpg --gamma gamma --heatmaps maps
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return WRONG_USE
    given = parser.parse_args(arguments)
    try:
        from aligngemini.datasets.manifest import ManifestError
        from aligngemini.runtimes.folder import ModelError
        from aligngemini.training.gamma_build import build_gamma
        from aligngemini.training.gamma_recipe import load_gamma_recipe
        from aligngemini.training.recipe import RecipeError
    except ImportError as error:
        return not_installed(COMMAND, error)

    def train() -> str | None:
        recipe = load_gamma_recipe(
            given.recipe,
            steps=given.steps,
            seed=given.seed,
            backbone=given.backbone,
            batch_size=given.batch_size,
        )
        work = work_folder(given)
        return build_gamma(
            recipe, given.manifest, given.out, work, workers=given.workers, progress=_measuring
        )

    return run_training(
        train,
        given.out,
        command=COMMAND,
        mistakes=(ManifestError, RecipeError, ModelError),
        lighter="give a smaller --batch-size, or a recipe with gradient_checkpointing: true",
    )


def _measuring(total: int) -> AbstractContextManager[Callable[[], None]]:
    return progress(total, text="Measuring")


def _parser() -> Parser:
    parser = Parser(
        prog=COMMAND,
        usage="aligngemini train gamma --manifest FILE --out DIR [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add("--manifest", type=Path, required=True, metavar="FILE", help="manipulation set to train on")
    add("--out", type=Path, required=True, metavar="DIR", help="model folder to write")
    add(
        "--recipe",
        default="gamma-compact",
        metavar="NAME",
        help="gamma-compact (the default), gamma-genimage, or a YAML file",
    )
    add(
        "--work",
        type=Path,
        metavar="DIR",
        help="folder for checkpoints and logs (default: DIR-work)",
    )
    add("--steps", type=positive_int, metavar="N", help="instead of the recipe's")
    add("--seed", type=int, metavar="N", help="instead of the recipe's")
    add(
        "--batch-size",
        type=positive_int,
        metavar="N",
        help="instead of the recipe's: crops a forward pass",
    )
    add(
        "--backbone",
        metavar="NAME",
        help="instead of the recipe's: dinov2-small, dinov2-base, dinov2-large, clip-large, a "
        "repository of the Hub, or a folder",
    )
    add(
        "--workers",
        type=int,
        metavar="N",
        help="processes that prepare images (default: one a core)",
    )
    return parser
