"""`aligngemini train semantic`: a vision-language model that says whether a scene is possible."""

import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from aligngemini.cli.checks import WRONG_USE
from aligngemini.cli.parser import Parser, positive_int
from aligngemini.cli.training_run import checking, not_installed, run_training, work_folder

COMMAND = "aligngemini train semantic"

DESCRIPTION = """Train the semantic branch, for `aligngemini detect --semantic DIR`.

recipes:
  aligngemini  Qwen2.5-VL 7B with LoRA by DPO: the right verdict preferred to the
               wrong one, as AlignGemini has it
  sft          to compare with: the same data, the right answers alone
  FILE         a recipe of your own (YAML); docs/training-semantic.md shows one

The verdicts are measured on held-out pairs four times on the way and at the end.

The run ends with checks for what often goes wrong with detectors, such as going by the
files' format: one line each, also in the model's card (docs/failure-signatures.md).
"""

EPILOG = """the data:
  --data takes the folder that `aligngemini build semantic-set` wrote; or one of Parquet
  files, or of datasets' save_to_disk, with the columns images, prompt, chosen and
  rejected, and split (val is held out).

A run that was stopped goes on where it was when the same command is given again. Several
GPUs: torchrun --nproc_per_node N --module aligngemini train semantic ...; weights spread
over them: accelerate launch --use_fsdp --fsdp_state_dict_type FULL_STATE_DICT --module
aligngemini train semantic ... Needs the train extra: pip install "aligngemini[train]"

exit codes:
  0    the model folder is written
  2    wrong usage or configuration, or nothing to train on
  130  stopped by Ctrl-C

examples:
  aligngemini train semantic --data set --out adapter
  aligngemini train semantic --data set --out small --base qwen2.5-vl-3b
  aligngemini detect photo.jpg --semantic adapter
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return WRONG_USE
    given = parser.parse_args(arguments)
    # TRL reports to the Hub which of its trainers is used, unless told not to.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import datasets

        from aligngemini.datasets.leakage import leakage_warning
        from aligngemini.runtimes.folder import ModelError
        from aligngemini.training.recipe import RecipeError
        from aligngemini.training.semantic_build import build_semantic
        from aligngemini.training.semantic_data import PreferenceError
        from aligngemini.training.semantic_recipe import load_semantic_recipe
    except ImportError as error:
        return not_installed(COMMAND, error)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    # What TRL calls in transformers; nothing that a user could change.
    warnings.filterwarnings("ignore", message=".* will be removed in v6", category=FutureWarning)

    def train() -> str | None:
        recipe = load_semantic_recipe(
            given.recipe, base=given.base, steps=given.steps, seed=given.seed
        )
        if (warning := leakage_warning(given.data / "leakage.json")) is not None:
            print(f"{COMMAND}: {warning}.", file=sys.stderr)
        work = work_folder(given)
        return build_semantic(recipe, given.data, given.out, work, progress=checking)

    return run_training(
        train,
        given.out,
        command=COMMAND,
        mistakes=(PreferenceError, RecipeError, ModelError),
        lighter="give a smaller --base or a recipe with fewer max_pixels, or spread the weights "
        "over several GPUs with FSDP",
    )


def _parser() -> Parser:
    parser = Parser(
        prog=COMMAND,
        usage="aligngemini train semantic --data DIR --out DIR [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="preference pairs to train on")
    add("--out", type=Path, required=True, metavar="DIR", help="model folder to write")
    add(
        "--recipe",
        default="aligngemini",
        metavar="NAME",
        help="aligngemini (the default), sft, or a YAML file",
    )
    add(
        "--base",
        metavar="NAME",
        help="instead of the recipe's base model: qwen2.5-vl-3b, qwen2.5-vl-7b, qwen2.5-vl-32b, "
        "a repository of the Hub, or a folder",
    )
    add("--steps", type=positive_int, metavar="N", help="instead of the recipe's")
    add("--seed", type=int, metavar="N", help="instead of the recipe's")
    add(
        "--work",
        type=Path,
        metavar="DIR",
        help="folder for checkpoints, logs and a copy of the pairs (default: DIR-work)",
    )
    return parser
