"""What the semantic branch's training learns of a drawn world where only the meaning decides.

    python tools/learn_semantic.py FOLDER

Trains tiny Qwen2.5-VL models by the code of `aligngemini train semantic`, several times over, and
prints the table of docs/training-semantic.md. The world is tests/fixtures/rules.py.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from fixtures.rules import lora_recipe, newborn, world_recipe, write_world

from aligngemini.prompts import Prompt
from aligngemini.training.expert_recipe import Lora
from aligngemini.training.semantic import figures_of, train_semantic
from aligngemini.training.semantic_build import write_semantic
from aligngemini.training.semantic_data import Preferences, open_preferences
from aligngemini.training.semantic_recipe import SemanticRecipe

SEEDS = (0, 1, 2)
SCENES, HELD_OUT = 1500, 400
SEEING = Prompt(question="Which way up?", fake="Upside down.", real="Upright.")


def main(folder: Path) -> None:
    """Run everything; what is in `folder` already is not run again."""
    base = folder / "base"
    if not base.exists():
        newborn(base)
    rows: dict[str, list[float]] = {}
    for seed in SEEDS:
        for name, result in _runs(folder / str(seed), base, seed):
            rows.setdefault(name, []).append(result)
            print(seed, name, result, flush=True)
    print("\n| | " + " | ".join(f"seed {seed}" for seed in SEEDS) + " |")
    print("| --- |" + " --- |" * len(SEEDS))
    for name, results in rows.items():
        print(f"| {name} | " + " | ".join(f"{result:.3f}" for result in results) + " |")


def _runs(folder: Path, base: Path, seed: int) -> Iterator[tuple[str, float]]:
    scratch = world_recipe(base, steps=200, seed=seed)
    true = _world(folder / "true", seed)
    yield "DPO, all weights", _trained(scratch, true, folder / "dpo")
    lots = _world(folder / "lots", seed, shuffled=True)
    yield "DPO, all weights, labels drawn by lot", _trained(scratch, lots, folder / "dpo-lots")
    sft = world_recipe(base, steps=200, seed=seed, objective="sft", beta=None)
    yield "SFT, all weights", _trained(sft, true, folder / "sft")
    # A base model that sees which way up things are, but never heard the question.
    sight = _world(folder / "sight", seed + 100, prompt=SEEING)
    see = replace(sft, steps=400)
    seen = _trained(see, sight, folder / "see")
    yield "the base model of the next rows, on its own question", seen
    seeing = folder / "seeing"
    if not seeing.exists():
        write_semantic(see, sight, folder / "see/checkpoint-400", seeing)
    lora = lora_recipe(
        seeing,
        lora=Lora(rank=16, alpha=32, dropout=0.05),
        learning_rate=2e-3,
        batch_size=16,
        device_batch_size=16,
        steps=100,
        evals=1,
        seed=seed,
    )
    yield "DPO, LoRA as it ships", _trained(lora, true, folder / "lora")
    yield "DPO, LoRA, labels drawn by lot", _trained(lora, lots, folder / "lora-lots")


def _world(folder: Path, seed: int, **settings: object) -> Preferences:
    data = folder / "set"
    if not data.exists():
        write_world(data, SCENES, held_out=HELD_OUT, seed=seed, **settings)
    return open_preferences(data, folder / "cache", held_out=0.0, seed=seed)


def _trained(recipe: SemanticRecipe, pairs: Preferences, work: Path) -> float:
    with contextlib.redirect_stdout(sys.stderr):
        return figures_of(train_semantic(recipe, pairs, work))[-1]["balanced_accuracy"]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
