"""The model card of a GAMMA model: what it was trained on, how, and what came out."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import yaml

from aligngemini.datasets.manipulation_set import Sample
from aligngemini.evaluation.regions import Measured, RegionFigures, region_figures
from aligngemini.runtimes.folder import Calibration
from aligngemini.training.expert_card import PACKAGES, TRAINED_PARTS, without_folder
from aligngemini.training.gamma_recipe import GammaRecipe

CARD = """# {name}

Says of an image whether it, or a part of it, was generated or changed, and where: one score and two
maps. `generated` marks pixels that a generator or decoder made, `moved` pixels that were moved, are
foreign, or were filled without a generator.

- Backbone: {backbone}
- Trained: {trained}
- Looks at: native tiles of {tile_size} px, overlapping by {overlap} px; a cell of the maps is
  {map_stride} px
- {moved}

## What it cannot do

- **It does not prove anything.** Below the threshold it found no sign; it cannot show that a photo
  is real, nor that what is not marked was not changed.
- It knows the manipulations and the decoders it was trained on and those much like them. Of others
  nothing is known until it is measured.
- Compression and resizing wipe out the traces it looks for; see the tables.
- Images changed on purpose to escape detection will escape it.

## Thresholds

A score from {threshold:.3f} up is `fake`, below {threshold_real:.3f} `real`, between the two
`undecided`. They were set on {fitted_on}.{rates}
Pixels are marked from 0.5 up.

## Measured on held-out images

{measured}

## Trained on

{trained_on}

The manifest `{manifest}` has the SHA-256
`{sha256}`.
The licences of its images are not known here.

## Recipe

```yaml
{recipe}```

{devices}Versions: {versions}.
"""

RATES = """ At most {false_alarm_rate:.0%} of those photos
reach the first and at most {miss_rate:.0%} of those fakes stay below the second, under each
delivery in the tables."""

MEASURED = """{counts}

Pixel figures are means over images of the map that should mark them, at 0.5. `either` is the F1 of
both maps together, `marked` the share of the picture that either of them marks: on untouched
photos, wrongly so. The image AUC is against the untouched photos.{note}

{tables}"""

NOTE = """
The best of the checkpoints was chosen on crops of these very images, so expect less elsewhere."""


@dataclass(frozen=True)
class GammaData:
    """What a run was given.

    Attributes:
        manifest: The manifest's file name.
        sha256: Of that file.
        samples: Trained on.
        held_out: Measured on.
    """

    manifest: str
    sha256: str
    samples: Sequence[Sample]
    held_out: Sequence[Sample]


def gamma_card(
    name: str,
    recipe: GammaRecipe,
    data: GammaData,
    calibration: Calibration,
    *,
    crop_figures: Mapping[str, float],
    measured: Sequence[Measured],
    devices: int,
) -> str:
    """The card, Markdown.

    Args:
        name: Of the model folder.
        recipe: What the model was trained with.
        data: What it was trained and measured on.
        calibration: Of the model.
        crop_figures: Of the chosen checkpoint on held-out crops; empty where nothing was held out.
        measured: Held-out images, whole.
        devices: Processes that trained it together.
    """
    shown = replace(recipe, backbone=without_folder(recipe.backbone))
    return CARD.format(
        name=name,
        backbone=_backbone(shown),
        trained="every weight" if recipe.train == "all" else TRAINED_PARTS[recipe.train],
        tile_size=recipe.tile_size,
        overlap=recipe.overlap,
        map_stride=recipe.map_stride,
        moved="Moved or foreign pixels alone make an image `fake`"
        if recipe.moved_is_fake
        else "Moved or foreign pixels are marked, and alone do not make an image `fake`",
        threshold=calibration.threshold,
        threshold_real=calibration.threshold_real,
        fitted_on=calibration.fitted_on,
        rates=RATES.format(**asdict(calibration)) if calibration.miss_rate is not None else "",
        measured=_measured(measured, chosen=bool(crop_figures)),
        trained_on=_counts(data.samples),
        manifest=data.manifest,
        sha256=data.sha256,
        recipe=yaml.safe_dump(
            _plain(asdict(shown)), sort_keys=False, default_flow_style=None, width=100
        ),
        devices=f"Trained by {devices} processes together. " if devices > 1 else "",
        versions=", ".join(f"{package} {version(package)}" for package in PACKAGES),
    )


def figures_table(rows: Sequence[RegionFigures]) -> str:
    """Rows of one delivery, Markdown."""
    head = "| | images | image AUC | pixel F1 | IoU | pixel AUC | either | marked |"
    lines = [
        f"| {row.manipulation} | {row.images} | "
        + " | ".join(
            _number(value)
            for value in (row.image_auc, row.f1, row.iou, row.pixel_auc, row.either_f1)
        )
        + f" | {row.marked:.1%} |"
        for row in rows
    ]
    return "\n".join([head, "|---" * 8 + "|", *lines])


def _measured(measured: Sequence[Measured], *, chosen: bool) -> str:
    if not measured:
        return "Nothing: the manifest holds no images of the split `val`."
    rows = region_figures(measured)
    tables = [
        f"### {delivery}\n\n{figures_table([row for row in rows if row.delivery == delivery])}"
        for delivery in dict.fromkeys(row.delivery for row in rows)
    ]
    samples = list({one.sample.path: one.sample for one in measured}.values())
    return MEASURED.format(
        counts=_counts(samples), note=NOTE if chosen else "", tables="\n\n".join(tables)
    )


def _counts(samples: Sequence[Sample]) -> str:
    kinds = Counter(sample.manipulation for sample in samples)
    generators = Counter(sample.generator for sample in samples if sample.generator)
    # A folder's name is enough, and the rest tells of a machine.
    sources = Counter(Path(sample.source).name for sample in samples if sample.source)
    lines = [f"- {len(samples)} images: {_listed(kinds)}"]
    if generators:
        lines.append(f"- Generated pixels by {_listed(generators)}")
    if sources:
        lines.append(f"- Sources: {_listed(sources)}")
    return "\n".join(lines)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def _backbone(recipe: GammaRecipe) -> str:
    if recipe.small is not None:
        return "the small one, on band-pass residuals, from random weights"
    return recipe.backbone or f"{(recipe.backbone_config or {})['model_type']} from scratch"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _plain(values: object) -> object:
    """Tuples to lists, and settings that are not given left out, as YAML shows them best."""
    if isinstance(values, dict):
        return {key: _plain(value) for key, value in values.items() if value is not None}
    if isinstance(values, list | tuple):
        return [_plain(value) for value in values]
    return values
