"""The model card of a pixel expert: what it was trained on, how, and what came out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import yaml

from aligngemini.datasets.pairs import Pair
from aligngemini.training.expert_recipe import ExpertRecipe

PACKAGES = ("aligngemini", "torch", "transformers", "peft", "pillow")
TRAINED_PARTS = {
    "lora": "LoRA adapters in its blocks, merged into the weights, and the head",
    "head": "the head alone",
    "all": "every weight",
}

CARD = """# {name}

Asks whether an image's pixels were made by the decoder of a generator.

- Backbone: {backbone}; one linear unit on its class token
- Trained: {trained}
- Looks at: the centred {crop_size} px at native resolution, zeros around what is smaller

## What it cannot do

- **It does not prove anything.** Below the threshold it found no sign; it cannot show that a photo
  is real.
- It knows the decoders it was trained on and those much like them. Of any other generator nothing
  is known until it is measured.
- What lies outside the centred {crop_size} px of an image, it does not see.
- Images changed on purpose to escape detection will escape it.

## Threshold

A score from {threshold} up is `fake`.
{threshold_note}

## Measured

{measured}

## Trained on

{train_pairs}
{unpaired}
The manifest `{manifest}` has the SHA-256
`{sha256}`.
The licences of its images are not known here.

## Recipe

```yaml
{recipe}```

{devices}Versions: {versions}.
"""


@dataclass(frozen=True)
class Data:
    """What a run was given.

    Attributes:
        manifest: The manifest's file name.
        sha256: Of that file.
        pairs: Trained on.
        held_out: Measured on.
        unpaired: Fakes of the manifest that belong to no photo, and were not used.
    """

    manifest: str
    sha256: str
    pairs: Sequence[Pair]
    held_out: Sequence[Pair]
    unpaired: int


def expert_card(
    name: str, recipe: ExpertRecipe, data: Data, metrics: Mapping[str, float], *, devices: int
) -> str:
    """The card, Markdown.

    Args:
        name: Of the model folder.
        recipe: What the model was trained with.
        data: What it was trained and measured on.
        metrics: On the held-out pairs; empty where nothing was held out.
        devices: Processes that trained it together.
    """
    shown = replace(recipe, backbone=without_folder(recipe.backbone))
    settings = yaml.safe_dump({"kind": "expert", **asdict(shown)}, sort_keys=False)
    backbone = shown.backbone or f"{(recipe.backbone_config or {})['model_type']} from scratch"
    return CARD.format(
        name=name,
        backbone=backbone,
        trained=TRAINED_PARTS[recipe.train],
        crop_size=recipe.crop_size,
        threshold=recipe.threshold,
        threshold_note=(
            "It is the recipe's, not fitted; the table has the shares that come with it."
            if metrics
            else "It is the recipe's, not fitted, and nothing was held out to measure it on."
        ),
        measured=_measured(metrics, data.held_out, recipe.threshold),
        train_pairs=_counts(data.pairs),
        unpaired=f"- {data.unpaired} fakes without a photo, not used\n" if data.unpaired else "",
        manifest=data.manifest,
        sha256=data.sha256,
        recipe=settings,
        devices=f"Trained by {devices} processes together. " if devices > 1 else "",
        versions=", ".join(f"{package} {version(package)}" for package in PACKAGES),
    )


def _measured(metrics: Mapping[str, float], held_out: Sequence[Pair], threshold: float) -> str:
    if not metrics:
        return "Nothing: the manifest holds no pairs of the split `val`."
    rows = (
        ("AUC", "auc"),
        ("balanced accuracy at 0.5", "balanced_accuracy"),
        ("photos called real at 0.5", "real_accuracy"),
        ("reconstructions called fake at 0.5", "fake_accuracy"),
        (f"photos that reach {threshold}", "false_alarm_rate"),
        (f"reconstructions below {threshold}", "miss_rate"),
    )
    table = "\n".join(f"| {words} | {metrics[name]:.3f} |" for words, name in rows)
    return (
        "On held-out pairs of the same set, the reconstructions compressed as their photos were. "
        "The best\nof the checkpoints was chosen by these very pairs, so expect less elsewhere.\n\n"
        f"{_counts(held_out)}\n\n| | |\n| --- | --- |\n{table}"
    )


def _counts(pairs: Sequence[Pair]) -> str:
    generators = Counter(pair.generator or "unnamed" for pair in pairs)
    photos = len({pair.real for pair in pairs})
    jpeg = len({pair.real for pair in pairs if pair.compression is not None})
    named = ", ".join(f"{name} {count}" for name, count in generators.most_common())
    return (
        f"- {photos} photos, of which {jpeg} came as JPEG\n- {len(pairs)} reconstructions ({named})"
    )


def without_folder(backbone: str | None) -> str | None:
    """A backbone's name, of a local folder the last part alone: the rest tells of a machine."""
    return Path(backbone).name if backbone and Path(backbone).exists() else backbone
