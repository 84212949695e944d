"""The model card that is written beside the weights: every figure as measured."""

from collections import Counter
from collections.abc import Iterable, Sequence

from aligngemini.evaluation.holdout import (
    VERDICTS,
    Figures,
    Thresholds,
    mean_over_generators,
    verdict_shares,
)
from aligngemini.evaluation.predictions import Prediction
from aligngemini.runtimes.folder import Calibration
from aligngemini.training.recipe import CompactRecipe

KINDS = {"real": "Photos", "fake": "AI images", "pair": "Reconstructions of those photos"}

CARD = """# Compact pixel expert

Asks whether an image's pixels were made by a generator's decoder. Two small convolutional networks
on band-pass residuals: one on the {crops} most textured native crops of {crop_size} px, one on the
largest centred square at {whole_size} px; the score's logit is the mean of the two.

## What it cannot do

- **It does not prove anything.** Below the lower threshold it found no sign; it cannot show that a
  photo is real.
- It was trained on photos and on generated pictures of photo-like or artistic kind. Drawings, CGI,
  scans, screenshots and heavily retouched pictures made by people are outside what it knows, and
  may be called fake.
- Few photos from recent phones and few very large photos were among those it was measured on.
- Images under {crop_size} px a side, and images of mostly flat colour, are always `undecided`.
- Images changed on purpose to escape detection will escape it.
- Generators differ: see the spread between the rows below before relying on the mean.

## Thresholds

A score from {threshold:.3f} up is `fake`, below {threshold_real:.3f} `real`, between the two
`undecided`. At most {false_alarm_rate:.0%} of held-out photos reach the first, at most
{miss_rate:.0%} of held-out AI images stay below the second, under each delivery in the tables. They
were set on {fitted_on}.

What those held-out images are called at these thresholds:

{verdicts}

## Measured on generators and photo sources it had not seen

Every row is a model of the same recipe, trained without that generator and without that photo
source. Both classes went through the same delivery. In brackets: 95 % bootstrap interval. Recall is
at a threshold that 1 % (5 %) of that row's photos reach.

{means}

{tables}

## Trained on

{steps} steps of {batch_size} images. Every image went down several random journeys (resizing, blur,
sharpening, noise, JPEG and WebP, once or twice), drawn alike for both classes; lossless files were
first saved as JPEG four times in five. {pair_share:.0%} of the fakes in a batch are
reconstructions.

{counts}

{failed}"""


def compact_card(
    recipe: CompactRecipe,
    *,
    counts: dict[str, Counter[str]],
    failed: dict[str, str],
    figures: Sequence[Figures],
    calibration: Calibration,
    verdicts: str,
) -> str:
    """The card, Markdown.

    Args:
        recipe: What the model was trained with.
        counts: Training images by kind and origin.
        failed: Images that could not be read, with the reason.
        figures: Of the leave-one-out study.
        calibration: Of the model.
        verdicts: `verdicts_table` of the same study.
    """
    deliveries = list(dict.fromkeys(row.delivery for row in figures))
    return CARD.format(
        crops=recipe.crops,
        crop_size=recipe.pool.crop_size,
        whole_size=recipe.pool.whole_size,
        threshold=calibration.threshold,
        threshold_real=calibration.threshold_real,
        false_alarm_rate=calibration.false_alarm_rate,
        miss_rate=calibration.miss_rate,
        fitted_on=calibration.fitted_on,
        verdicts=verdicts,
        means=means_table(figures),
        tables="\n\n".join(
            f"### {delivery}\n\n{figures_table(figures, delivery)}" for delivery in deliveries
        ),
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        pair_share=recipe.pair_share,
        counts="\n".join(_counts_line(kind, counts[kind]) for kind in KINDS if counts[kind]),
        failed=_failed_lines(failed),
    )


def means_table(figures: Sequence[Figures]) -> str:
    """Mean over the rows, by delivery."""
    deliveries = dict.fromkeys(row.delivery for row in figures)
    rows = [
        (delivery, *(f"{value:.2f}" for value in mean_over_generators(figures, delivery)))
        for delivery in deliveries
    ]
    return _table(("mean over rows", "AUC", "recall at 1 %", "recall at 5 %"), rows)


def verdicts_table(predictions: Sequence[Prediction], thresholds: Thresholds) -> str:
    """Shares of `fake`, `undecided` and `real` among held-out photos and AI images."""
    rows = []
    for delivery in dict.fromkeys(p.delivery for p in predictions):
        shares = [
            verdict_shares(predictions, thresholds, delivery, label)[verdict]
            for label in ("real", "fake")
            for verdict in VERDICTS
        ]
        rows.append((delivery, *(f"{share:.1%}" for share in shares)))
    columns = [f"{images}: {verdict}" for images in ("photos", "AI") for verdict in VERDICTS]
    return _table(("", *columns), rows)


def figures_table(figures: Sequence[Figures], delivery: str) -> str:
    """One row a fold."""
    head = ("generator held out", "images", "photo source held out", "photos")
    rows = [
        (
            row.generator,
            str(row.fakes),
            row.source,
            str(row.photos),
            str(row.auc),
            str(row.recall_at_1),
            str(row.recall_at_5),
        )
        for row in figures
        if row.delivery == delivery
    ]
    return _table((*head, "AUC", "recall at 1 %", "recall at 5 %"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _counts_line(kind: str, counts: Counter[str]) -> str:
    origins = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    return f"- {KINDS[kind]}: {sum(counts.values())} ({origins})"


def _failed_lines(failed: dict[str, str]) -> str:
    if not failed:
        return "Every image of the manifest could be read.\n"
    reasons = Counter(failed.values())
    lines = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
    return f"{len(failed)} images of the manifest could not be read and are not in it: {lines}.\n"
