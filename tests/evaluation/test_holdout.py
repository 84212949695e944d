"""From held-out predictions to figures and thresholds."""

import numpy as np
import pytest

from aligngemini.evaluation.holdout import (
    FALSE_ALARM_RATE,
    MISS_RATE,
    Thresholds,
    fit_thresholds,
    held_out_figures,
    mean_over_generators,
    verdict_shares,
)
from aligngemini.evaluation.metrics import auc, recall_at
from aligngemini.evaluation.predictions import Prediction, read_predictions, write_predictions


def drawn(fold, delivery, shift, *, count=200, seed=0):
    """Predictions of one fold: photos around 0, AI images around `shift`."""
    rng = np.random.default_rng([seed, fold])
    return [
        Prediction(
            fold=fold,
            path=f"{label}-{fold}-{k}.png",
            label=label,
            generator=f"generator-{fold}" if label == "fake" else "",
            source="" if label == "fake" else f"source-{fold}",
            delivery=delivery,
            logit=float(rng.normal(shift if label == "fake" else 0.0, 1)),
        )
        for label in ("real", "fake")
        for k in range(count)
    ]


@pytest.fixture(scope="module")
def predictions():
    return [
        *drawn(0, "as is", 3.0),
        *drawn(0, "JPEG 75", 2.0, seed=1),
        *drawn(1, "as is", 1.0, seed=2),
        *drawn(1, "JPEG 75", 0.0, seed=3),
    ]


def logits(predictions, label):
    return np.array([p.logit for p in predictions if p.label == label])


def test_written_predictions_read_back(tmp_path, predictions):
    path = tmp_path / "predictions.csv"
    odd = Prediction(0, 'a "b",\nc.png', "fake", "gen, erator", "", "as is", 1 / 3)
    write_predictions([odd, *predictions], path)
    assert read_predictions(path) == [odd, *predictions]
    assert [p.name for p in tmp_path.iterdir()] == ["predictions.csv"]


def test_predictions_are_written_whole_or_not_at_all(tmp_path, predictions):
    path = tmp_path / "predictions.csv"
    write_predictions(predictions[:1], path)

    def interrupted():
        yield predictions[1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(interrupted(), path)
    assert read_predictions(path) == predictions[:1]


def test_fakes_are_compared_with_photos_of_their_own_fold_and_delivery(predictions):
    figures = held_out_figures(predictions)
    assert [(f.generator, f.source, f.delivery) for f in figures] == [
        ("generator-0", "source-0", "as is"),
        ("generator-0", "source-0", "JPEG 75"),
        ("generator-1", "source-1", "as is"),
        ("generator-1", "source-1", "JPEG 75"),
    ]
    for k, row in enumerate(figures):
        part = predictions[400 * k : 400 * (k + 1)]
        real, fake = logits(part, "real"), logits(part, "fake")
        assert (row.fakes, row.photos) == (200, 200)
        assert row.auc.value == pytest.approx(auc(real, fake))
        assert row.recall_at_1.value == recall_at(real, fake, 0.01)
        assert row.recall_at_5.value == recall_at(real, fake, 0.05)


def test_mean_counts_every_fold_once(predictions):
    figures = held_out_figures([*predictions, *drawn(2, "as is", 0.0, count=20)])
    rows = [row for row in figures if row.delivery == "as is"]
    assert len(rows) == 3
    assert mean_over_generators(figures, "as is") == pytest.approx(
        tuple(
            sum(getattr(row, name).value for row in rows) / 3
            for name in ("auc", "recall_at_1", "recall_at_5")
        )
    )


def test_thresholds_hold_under_every_delivery(predictions):
    fitted = fit_thresholds(predictions)
    assert 0 < fitted.real < fitted.fake < 1
    for delivery in ("as is", "JPEG 75"):
        part = [p for p in predictions if p.delivery == delivery]
        real, fake = (
            1 / (1 + np.exp(-(fitted.scale * logits(part, label) + fitted.bias)))
            for label in ("real", "fake")
        )
        assert (real >= fitted.fake).mean() <= FALSE_ALARM_RATE
        assert (fake < fitted.real).mean() <= MISS_RATE


@pytest.mark.parametrize("seed", range(20))
def test_no_photo_more_than_allowed_is_called_fake(seed):
    # The photo that the threshold lies just above must stay below it to the last bit.
    predictions = drawn(0, "as is", 1.5, count=150, seed=seed)
    shares = verdict_shares(predictions, fit_thresholds(predictions), "as is", "real")
    assert shares["fake"] == 1 / 150


def test_scores_are_calibrated(predictions):
    fitted = fit_thresholds(predictions)
    logit = np.array([p.logit for p in predictions])
    fake = np.array([p.label == "fake" for p in predictions])
    score = 1 / (1 + np.exp(-(fitted.scale * logit + fitted.bias)))
    # What a logistic fit guarantees: the mean score is the share of fakes.
    assert score.mean() == pytest.approx(fake.mean(), abs=1e-3)
    assert (score * logit).mean() == pytest.approx((fake * logit).mean(), abs=1e-3)


def test_thresholds_do_not_cross_when_the_classes_lie_far_apart():
    fitted = fit_thresholds([*drawn(0, "as is", 4.0)])
    assert fitted.real <= fitted.fake


def test_verdict_shares_count_one_class_under_one_delivery():
    thresholds = Thresholds(scale=1.0, bias=0.0, fake=0.75, real=0.25)  # logits of about 1.1
    spread = {"real": [-3, -2, -1, 2], "fake": [-2, 0, 2, 3, 4]}
    predictions = [
        Prediction(0, "a", label, "", "", delivery, logit + shift)
        for delivery, shift in (("as is", 0), ("JPEG 75", 100))
        for label, logits in spread.items()
        for logit in logits
    ]
    assert verdict_shares(predictions, thresholds, "as is", "real") == pytest.approx(
        {"fake": 0.25, "undecided": 0.25, "real": 0.5}
    )
    assert verdict_shares(predictions, thresholds, "as is", "fake") == pytest.approx(
        {"fake": 0.6, "undecided": 0.2, "real": 0.2}
    )
    assert verdict_shares(predictions, thresholds, "JPEG 75", "real")["fake"] == 1
