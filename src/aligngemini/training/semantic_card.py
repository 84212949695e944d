"""The model card of a semantic model: what it was trained on, how, and what came out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version

import yaml

from aligngemini.training.expert_card import without_folder
from aligngemini.training.semantic_data import Preferences
from aligngemini.training.semantic_recipe import SemanticRecipe

PACKAGES = ("aligngemini", "torch", "transformers", "peft", "trl", "pillow")
OBJECTIVES = {
    "dpo": "direct preference optimisation, the right verdict preferred to the wrong one",
    "sft": "the likelihood of the answers with the right verdict",
}
PARTS = {
    "lora": "LoRA adapters in its language model; the vision tower is as it was",
    "all": "every weight, the vision tower's too",
}
PUBLISHED = {"objective": "dpo", "base": "qwen2.5-vl-7b", "beta": 0.05, "learning_rate": 1e-6}
"""What a summary of AlignGemini states, beside LoRA's rank of 16."""

CARD = """# {name}

Asks whether what an image shows is possible in the real world.

- Base model: {base}
- Objective: {objective}
- Trained: {parts}
- Images are seen at {max_pixels} pixels at the most

## What it cannot do

- **It does not prove anything.** An AI image of a possible scene shows it nothing; that is the
  pixel branch's task.
- It may call fantasy art, collages and staged photos impossible, whoever made them.
- Text in an image may try to talk it into a verdict.
{leakage}
## Measured

{measured}

## Trained on

- {train_pairs}
- held out ({split}): {held_out_pairs}

The set `{data}` has the SHA-256
`{sha256}`.
The licences of its images are not known here.

Question: {question}

Verdicts: "{fake}" or "{real}"

## Recipe

Published for AlignGemini: {published}. Reported by others of the paper: {reported}.
Everything else is this project's own choice.

```yaml
{recipe}```

{steps} optimiser steps. {devices}Versions: {versions}.
"""


def semantic_card(
    name: str,
    recipe: SemanticRecipe,
    preferences: Preferences,
    figures: Sequence[dict[str, float]],
    *,
    steps: int,
    devices: int,
) -> str:
    """The card, Markdown.

    Args:
        name: Of the model folder.
        recipe: What the model was trained with.
        preferences: What it was trained and measured on.
        figures: Measured on the way, with the `step`; the last row is the model's own.
        steps: Optimiser steps taken.
        devices: Processes that trained it together.
    """
    shown = replace(recipe, base=without_folder(recipe.base) or recipe.base)
    published, reported = _sources(recipe)
    return CARD.format(
        name=name,
        base=shown.base,
        objective=OBJECTIVES[recipe.objective],
        parts=PARTS[recipe.train],
        max_pixels=f"{recipe.max_pixels:,}",
        measured=_measured(figures),
        train_pairs=_counts(preferences.counts()),
        held_out_pairs=_counts(preferences.counts(held_out=True)),
        split=preferences.split,
        data=preferences.name,
        sha256=preferences.sha256,
        leakage=f"- **{preferences.leakage}.**\n" if preferences.leakage else "",
        **asdict(preferences.prompt),
        published=", ".join(published) or "nothing of this recipe",
        reported=", ".join(reported) or "nothing",
        recipe=yaml.safe_dump(asdict(shown), sort_keys=False),
        steps=steps,
        devices=f"Trained by {devices} processes together. " if devices > 1 else "",
        versions=", ".join(f"{package} {version(package)}" for package in PACKAGES),
    )


def _sources(recipe: SemanticRecipe) -> tuple[list[str], list[str]]:
    """Settings as a summary of the paper states them, and as others report them of the paper."""
    published = [
        f"{name} {value}" for name, value in PUBLISHED.items() if getattr(recipe, name) == value
    ]
    reported = ["one epoch"] if recipe.epochs == 1 and recipe.steps is None else []
    if recipe.lora is not None and recipe.lora.rank == 16:
        published.append("LoRA rank 16")
    if recipe.lora is not None and recipe.lora.alpha == 32:
        reported.append("LoRA alpha 32")
    return published, reported


def _measured(figures: Sequence[dict[str, float]]) -> str:
    if not figures:
        return "Nothing: no pairs were held out."
    rows = "\n".join(
        f"| {row['step']} | {row['balanced_accuracy']:.3f} | {row['real_accuracy']:.3f} "
        f"| {row['fake_accuracy']:.3f} | {row['auc']:.3f} |"
        for row in figures
    )
    return (
        "By the likelier of the two verdicts, on held-out images of the same set, degraded as "
        "those it was\ntrained on. The last row is this model; no checkpoint was chosen by it.\n\n"
        "| step | balanced accuracy | real images right | fake images right | AUC |\n"
        f"| --- | --- | --- | --- | --- |\n{rows}"
    )


def _counts(counts: Counter[str]) -> str:
    return f"{counts['real']} real and {counts['fake']} fake images, a pair of answers each"
