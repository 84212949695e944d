"""Drift: the comparison is valid, however often one looks, and sees what it is there for."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fixtures.evidence import scored
from scipy.stats import binomtest, ks_2samp

from aligngemini.calibration import CalibratedBranch, read_calibration, write_calibration
from aligngemini.calibration.drift import (
    EDGES,
    ScoreHistogram,
    counted_scores,
    drift,
    watch,
)
from aligngemini.datasets.manifest import Row
from aligngemini.evaluation.calibrate import Promise, calibrate
from aligngemini.evaluation.labelled import Labelled
from aligngemini.evidence import Evidence, Problem
from aligngemini.fusion import FUSIONS
from aligngemini.settings import SettingsError
from aligngemini.verdict import Verdict


def scores(rng, count, shift=0.0):
    return 1 / (1 + np.exp(-rng.normal(-1 + shift, 1, count)))


def test_histograms_add_up_and_come_back():
    rng = np.random.default_rng(0)
    values = [*scores(rng, 300), 0.0, 1.0, 0.5, *EDGES[::20]]
    one_by_one = ScoreHistogram()
    for value in values:
        one_by_one.add(float(value))
    at_once = ScoreHistogram.of(values)
    merged = ScoreHistogram.of(values[:100]).merge(ScoreHistogram.of(values[100:]))
    stored = ScoreHistogram.from_dict(json.loads(json.dumps(at_once.to_dict())))
    for other in (at_once, merged, stored):
        assert (other.counts == one_by_one.counts).all()
    assert one_by_one.total == len(values)
    # Named by tenths of log-odds: log-odds of 0 stand under "0", the far ends at the ends.
    assert ScoreHistogram.of([0.5, 0.52, 0.53]).to_dict() == {"0": 2, "1": 1}
    assert ScoreHistogram.of([0.0, 1.0]).to_dict() == {"-140": 1, "139": 1}


@pytest.mark.parametrize(
    "values", [{"140": 1}, {"x": 1}, {"01": 1}, {"0": -1}, {"0": 1.5}, {"0": True}, {"0": 10**30}]
)
def test_damaged_histograms_are_refused(values):
    with pytest.raises(SettingsError, match="no count of a score histogram"):
        ScoreHistogram.from_dict(values)


def test_the_statistic_is_kolmogorovs_and_the_p_value_never_below_the_exact_one():
    rng = np.random.default_rng(1)
    middles = np.concatenate([EDGES - 1e-9, EDGES[-1:] + 1e-9])
    for n, m, shift in ((120, 150, 0.0), (300, 200, 0.2), (1000, 150, 0.4), (800, 900, 0.1)):
        first, second = (ScoreHistogram.of(scores(rng, k, s)) for k, s in ((n, 0.0), (m, shift)))
        found = drift(first, second)
        exact = ks_2samp(*(np.repeat(middles, one.counts) for one in (first, second)))
        assert found.effect == pytest.approx(exact.statistic)
        assert found.p_value >= exact.pvalue * (1 - 1e-9)
        if found.p_value < 0.1:
            assert found.p_value < 2 * exact.pvalue + 1e-6


def test_a_shift_is_warned_of_and_the_sentence_has_its_numbers():
    rng = np.random.default_rng(2)
    before, shifted = ScoreHistogram.of(scores(rng, 500)), ScoreHistogram.of(scores(rng, 500, 0.7))
    found = drift(before, shifted, compared_with="the photos calibrated on")
    assert found.warned
    assert found.effect > 0.1
    assert "no longer those of the photos calibrated on" in found.sentence
    assert "of 500 images score" in found.sentence
    assert not drift(before, ScoreHistogram.of(scores(rng, 500))).warned


def test_a_million_images_do_not_warn_about_nothing():
    rng = np.random.default_rng(3)
    many, slightly = (ScoreHistogram.of(scores(rng, 1_000_000, s)) for s in (0.0, 0.02))
    found = drift(many, slightly)
    assert found.p_value < 1e-6
    assert not found.warned
    assert drift(many, slightly, tolerance=0.0).warned


def test_few_images_say_how_many_it_takes():
    rng = np.random.default_rng(4)
    found = drift(ScoreHistogram.of(scores(rng, 500)), ScoreHistogram.of(scores(rng, 99, 9.0)))
    assert not found.warned
    assert "99 images; it takes 100" in found.sentence


def streams(rng, count, days, images):
    """Streams in which nothing ever changes."""
    shares = ScoreHistogram.of(scores(rng, 100_000)).counts / 100_000
    for _ in range(count):
        made = {}
        for day in range(days):
            made[f"day {day}"] = histogram = ScoreHistogram()
            histogram.counts += rng.multinomial(images, shares)
        yield made


@pytest.mark.parametrize("against", ["past", "reference"])
def test_looking_every_day_costs_no_more_false_warnings_than_promised(against):
    """Without the tolerance, so that nothing but the p-values and the shares of alpha hold it."""
    rng = np.random.default_rng(5)
    reference = {"past": None, "reference": next(streams(rng, 1, 1, 400))["day 0"]}[against]
    every_day_alike = promised = 0
    for days in streams(rng, 120, 60, 150):
        found = watch(days, reference, alpha=0.2, tolerance=0.0)
        promised += any(one.warned for one in found.values())
        every_day_alike += any(one.p_value <= 0.2 for one in found.values())
    assert binomtest(promised, 120, 0.2, alternative="greater").pvalue > 0.01
    assert every_day_alike > 60, "looking without sharing alpha out would be caught here"


def test_a_change_for_good_is_warned_of_for_good():
    rng = np.random.default_rng(6)
    names = [f"{day:02}" for day in range(33)]
    shifts = [0.0 if day < 3 else 1.0 for day in range(33)]
    days = {
        name: ScoreHistogram.of(scores(rng, 300, shift))
        for name, shift in zip(names, shifts, strict=True)
    }
    found = watch(days)
    assert "00" not in found, "the first day has no past"
    assert [day for day, one in found.items() if one.warned] == names[3:]


def test_small_days_are_joined_and_what_is_left_over_waits():
    rng = np.random.default_rng(7)
    days = {f"{k:02}": ScoreHistogram.of(scores(rng, 40)) for k in range(10)}
    assert list(watch(days)) == ["03 to 05", "06 to 08"]
    assert list(watch({**days, "10": ScoreHistogram.of(scores(rng, 400))})) == [
        *("03 to 05", "06 to 08", "09 to 10")
    ]
    assert list(watch(days, ScoreHistogram.of(scores(rng, 400)))) == [
        *("00 to 02", "03 to 05", "06 to 08")
    ]


def test_branches_share_alpha():
    rng = np.random.default_rng(8)
    days = {"1": ScoreHistogram.of(scores(rng, 200)), "2": ScoreHistogram.of(scores(rng, 200, 0.6))}
    alpha = drift(*days.values()).p_value * 4  # the first comparison gets half of it
    assert watch(days, alpha=alpha)["2"].warned
    assert not watch(days, alpha=alpha, streams=3)["2"].warned


def judged(number, odds, **others):
    evidence = scored(float(1 / (1 + np.exp(-odds))), 0.7, 0.3, "pixel")
    branches = {"pixel": replace(evidence, **others)}
    return Labelled(
        Row(f"{number}.jpg", "real" if number < 300 else "fake"),
        Verdict(f"{number}.jpg", verdict="real", branches=branches),
    )


@pytest.mark.parametrize("scaling", [None, "temperature"])
def test_a_calibration_keeps_the_scores_that_detection_will_give(tmp_path, scaling):
    rng = np.random.default_rng(9)
    images = [judged(k, rng.normal(-1 if k < 300 else 1)) for k in range(500)]
    images[0] = judged(0, 5.0, verdict="undecided", remark="too small")
    write_calibration(
        calibrate(images, FUSIONS["or"], Promise(0.05, 0.9), scaling=scaling), tmp_path / "c.json"
    )
    file = read_calibration(tmp_path / "c.json")
    kept = ScoreHistogram.from_dict(file.reference["pixel"])
    detected = ScoreHistogram()
    for image in images[:300]:
        branches = image.verdict.branches
        evidence = CalibratedBranch(Named("pixel"), file).read(branches["pixel"])
        for score in counted_scores({"branches": {"pixel": evidence.to_dict()}}).values():
            detected.add(score)
    assert kept.total == detected.total == 299
    assert abs(kept.counts - detected.counts).sum() <= 2, "but for the last digit of a score"


class Named:
    def __init__(self, name):
        self.name = name


def test_calibrations_of_before_are_read_as_they_were(tmp_path):
    images = [judged(k, k / 100 - 2) for k in range(500)]
    file = calibrate(images, FUSIONS["or"], Promise(0.05, 0.9))
    write_calibration(file, tmp_path / "c.json")
    values = json.loads((tmp_path / "c.json").read_text())
    del values["reference"]
    (tmp_path / "c.json").write_text(json.dumps(values))
    old = read_calibration(tmp_path / "c.json")
    assert old.reference == {}
    assert old.fingerprint != file.fingerprint
    assert old.fingerprint == fingerprint_of_before(values)


def fingerprint_of_before(values):
    from hashlib import sha256

    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def test_scores_that_do_not_count():
    record = Verdict(
        "a.jpg",
        verdict="real",
        branches={
            "pixel": scored(0.2, 0.7, 0.3, "pixel"),
            "semantic": Evidence(skipped="not asked"),
            "gamma": Evidence(error=Problem("failed", "no memory")),
            "pixel-2": replace(scored(0.9, 0.7, 0.3, "p"), verdict="undecided", remark="small"),
        },
    )
    assert counted_scores(json.loads(record.to_json())) == {"pixel": 0.2}
    assert counted_scores({"error": {"code": "empty"}}) == {}
