"""Calibration: the fused verdict keeps its promise, and detection reads what was promised."""

import math
from dataclasses import replace

import numpy as np
import pytest
from fixtures.evidence import MODELS, answers, combination, scored
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from aligngemini.calibration import (
    BranchCalibration,
    CalibratedBranch,
    CalibratedRule,
    CalibrationError,
    CalibrationFile,
    Curve,
    read_calibration,
    write_calibration,
)
from aligngemini.datasets.manifest import Row
from aligngemini.evaluation.calibrate import Promise, calibrate, calibrate_scores
from aligngemini.evaluation.calibration_scores import Scores, collect
from aligngemini.evaluation.guarantee import TooFewPhotosError, allowed_alarms
from aligngemini.evaluation.labelled import Labelled
from aligngemini.evaluation.probabilities import compare, isotonic, quality, temperature
from aligngemini.evidence import Evidence
from aligngemini.fusion import FUSIONS
from aligngemini.fusion.fitted import FittedRule, FusionFile
from aligngemini.verdict import Verdict

PROMISE = Promise(0.05, 0.9)
THRESHOLDS = {"pixel": 0.7, "pixel-2": 0.5, "semantic": 0.6}


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def image(scores, label="real", number=0, rule=FUSIONS["or"]):
    """A judged image with these log-odds by branch."""
    branches = {
        name: scored(sigmoid(odds), THRESHOLDS[name], 0.3, name) for name, odds in scores.items()
    }
    fused = rule.fuse(branches)
    verdict = Verdict(f"{number}.jpg", verdict=fused.verdict, score=fused.score, branches=branches)
    return Labelled(Row(f"{number}.jpg", label), verdict)


def world(rng, photos, fakes, names=("pixel", "semantic")):
    """Branches that see the fakes differently well, and share some of their alarms."""
    images = []
    for k in range(photos + fakes):
        fake = k >= photos
        common = rng.normal()
        lift = {"pixel": 2.5, "semantic": 1.0, "pixel-2": 1.5}
        odds = {n: common + rng.normal(0, 1.5) + (lift[n] if fake else 0) for n in names}
        images.append(image(odds, "fake" if fake else "real", k))
    return images


def calibrated_verdict(file, rule, branches):
    """What `detect --calibration` makes of the same evidence."""
    read = {name: CalibratedBranch(_Named(name), file).read(one) for name, one in branches.items()}
    rule = CalibratedRule(rule, file) if isinstance(rule, FittedRule) else rule
    if isinstance(rule, CalibratedRule):
        read = branches
    return rule.fuse(read).verdict


class _Named:
    def __init__(self, name):
        self.name = name


def blank(shift, offsets=None):
    known = BranchCalibration(0.5, None, 1, 0, None, (1,))
    return CalibrationFile(
        *(1, "", "", "or", MODELS, 0.05, 0.9, 10, 0, 0, None, shift, offsets or {}),
        branches=dict.fromkeys(MODELS, known),
    )


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(sorted(FUSIONS)), st.floats(-5, 5))
def test_counted_alarms_are_the_verdicts_that_detection_gives(data, name, shift):
    """Whatever branches say, failures and labels without scores among it."""
    rule, file = FUSIONS[name], blank(shift)
    # Log-odds end at 30 either way: a threshold beyond those could not be moved by a shift.
    low = {branch: data.draw(st.floats(1e-9, 1 - 1e-9)) for branch in MODELS}
    images = []
    for number in range(4):
        branches = {}
        for branch in MODELS:
            one = data.draw(answers(branch))
            if one.score is not None:
                label = "fake" if one.score >= low[branch] else "real"
                one = replace(one, threshold=low[branch], threshold_real=low[branch])
                one = replace(one, verdict=label if one.remark is None else one.verdict)
                one = replace(one, model=MODELS[branch])
            branches[branch] = one
        verdict = rule.fuse(branches).verdict
        images.append(
            Labelled(Row(str(number), "real"), Verdict("", verdict=verdict, branches=branches))
        )
    try:
        scores = collect(images, rule)
    except ValueError:
        return  # nothing scored
    judged = [one for one in images if one.verdict.verdict is not None]
    expected = [calibrated_verdict(file, rule, one.verdict.branches) == "fake" for one in judged]
    assert scores.alarms(rule, shift, {}).tolist() == expected


@pytest.mark.parametrize("name", sorted(FUSIONS))
@pytest.mark.parametrize("fakes", [0, 60])
def test_no_more_photos_are_called_fake_than_the_promise_allows(name, fakes):
    rule, rng = FUSIONS[name], np.random.default_rng(3)
    images = world(rng, 300, fakes)
    file = calibrate(images, rule, PROMISE)
    called = [calibrated_verdict(file, rule, one.verdict.branches) == "fake" for one in images]
    photos = [one.row.label == "real" for one in images]
    alarms = sum(a and b for a, b in zip(called, photos, strict=True))
    assert alarms == file.alarms
    ways = 1 if fakes == 0 or name == "weighted" else 5
    assert alarms <= allowed_alarms(300, 0.05, 1 - 0.1 / ways)
    # And no stricter than it must be, but for ties with the lowest thresholds.
    assert alarms >= allowed_alarms(300, 0.05, 1 - 0.1 / ways) - 1 or file.shift < 0
    if fakes:
        assert file.recall == pytest.approx(
            np.mean([a for a, b in zip(called, photos, strict=True) if not b])
        )


def drawn(rng, photos, fakes):
    """The same world as arrays, without ties and failures."""
    fake = np.arange(photos + fakes) >= photos
    odds = rng.normal(size=(photos + fakes, 1)) + rng.normal(0, 1.5, (photos + fakes, 2))
    odds += fake[:, None] * np.array([2.5, 1.0])
    yes = np.ones(odds.shape, bool)
    names = ("pixel", "semantic")
    models = {name: MODELS[name] for name in names}
    at = np.array([THRESHOLDS[name] for name in names])
    return Scores(names, models, 1 / (1 + np.exp(-odds)), yes, yes, ~yes, at, fake)


@pytest.mark.parametrize("name", sorted(FUSIONS))
def test_the_fused_rate_is_exceeded_no_more_often_than_promised(name):
    """Over 400 calibrations, against the rate on photos that nobody calibrated on."""
    rule, promise, trials = FUSIONS[name], Promise(0.1, 0.8), 400
    rng = np.random.default_rng(5)
    unseen = drawn(rng, 20_000, 0)
    failures = 0
    for _ in range(trials):
        file = calibrate_scores(drawn(rng, 100, 30), rule, promise)
        failures += unseen.alarms(rule, file.shift, file.offsets).mean() > 0.1
    assert binomtest(failures, trials, 0.2, alternative="greater").pvalue > 1e-4


def test_a_calibration_that_forgets_the_other_branch_is_caught():
    """Each branch by itself at the rate: together they raise more alarms, and the test sees it."""
    rng = np.random.default_rng(5)
    unseen = drawn(rng, 20_000, 0)
    failures = 0
    for _ in range(300):
        file = calibrate_scores(drawn(rng, 100, 0), FUSIONS["or"], Promise(0.1, 0.8))
        alone = np.array([file.branches[name].alone for name in unseen.names])
        failures += (unseen.scores >= alone).any(1).mean() > 0.1
    assert binomtest(failures, 300, 0.2, alternative="greater").pvalue < 1e-4


def test_fakes_decide_which_branch_is_favoured():
    rng = np.random.default_rng(0)
    images = world(rng, 400, 0)
    fakes = [
        image({"pixel": rng.normal(3, 1), "semantic": rng.normal(0, 1)}, "fake", 400 + k)
        for k in range(100)
    ]
    file = calibrate([*images, *fakes], FUSIONS["or"], PROMISE)
    assert set(file.offsets) == {"semantic"}  # made stricter: it sees nothing


def test_groups_each_hold_the_promise_or_are_said_not_to():
    rng = np.random.default_rng(2)
    calm = [image({"pixel": rng.normal(-1, 1)}, number=k) for k in range(400)]
    loud = [image({"pixel": rng.normal(1, 1)}, number=k) for k in range(400)]
    few = [image({"pixel": rng.normal(0, 1)}, number=k) for k in range(10)]
    sources = np.array(["calm"] * 400 + ["loud"] * 400 + ["few"] * 10)
    plain = calibrate([*calm, *loud, *few], FUSIONS["or"], PROMISE)
    file = calibrate([*calm, *loud, *few], FUSIONS["or"], PROMISE, groups={"source": sources})
    found = {group.value: group for group in file.groups}
    assert file.shift > plain.shift
    assert found["loud"].alarms <= allowed_alarms(400, 0.05, 1 - 0.1 / 3)
    assert found["loud"].promised
    assert found["calm"].promised
    assert not found["few"].promised
    assert found["few"].photos == 10


def test_too_few_photos_say_how_many_it_takes():
    rng = np.random.default_rng(0)
    with pytest.raises(TooFewPhotosError, match=r"20 photos .* takes 45"):
        calibrate(world(rng, 20, 5), FUSIONS["or"], Promise(0.05, 0.9))
    # Enough for one way to share false alarms out, and not for trying several.
    assert calibrate(world(rng, 50, 20), FUSIONS["or"], Promise(0.05, 0.9)).offsets == {}


def test_labels_without_scores_cannot_be_promised_anything():
    label_only = Evidence(verdict="fake", remark="label only")
    images = []
    for _ in range(200):
        branches = {"pixel": scored(0.1, 0.7, 0.3), "semantic": label_only}
        images.append(Labelled(Row("", "real"), Verdict("", verdict="fake", branches=branches)))
    with pytest.raises(CalibrationError, match="semantic branch gives labels without scores"):
        calibrate(images, FUSIONS["or"], PROMISE)


def test_photos_that_all_score_one_are_refused():
    images = [image({"pixel": 60.0}, number=k) for k in range(200)]
    with pytest.raises(CalibrationError, match="whatever the thresholds"):
        calibrate(images, FUSIONS["or"], PROMISE)


def test_thresholds_do_not_fall_below_a_half():
    """Photos that all score low are no reason to accuse the next one."""
    images = [image({"pixel": -6.0 - k / 100, "semantic": -7.0}, number=k) for k in range(200)]
    file = calibrate(images, FUSIONS["or"], PROMISE)
    assert [one.threshold for one in file.branches.values()] == [0.5, 0.5]


def test_out_of_scope_photos_count_as_photos_and_never_as_alarms():
    rng = np.random.default_rng(0)
    images = world(rng, 100, 0, names=("pixel",))
    flat = scored(0.99, 0.7, 0.3)
    flat = replace(flat, verdict="undecided", remark="flat")
    images += [
        Labelled(Row("", "real"), Verdict("", verdict="undecided", branches={"pixel": flat}))
    ] * 100
    file = calibrate(images, FUSIONS["or"], PROMISE)
    assert file.photos == 200
    assert file.alarms == allowed_alarms(200, 0.05, 0.9)


def test_a_fitted_rule_is_moved_by_its_own_threshold():
    rng = np.random.default_rng(8)
    both = {"pixel": 0.6, "semantic": 0.4}
    parts = (combination(both, -0.2, 0.6), combination({"pixel": 1.0}, threshold=0.8))
    models = {name: MODELS[name] for name in both}
    rule = FittedRule(FusionFile(1, "learned", "", models, parts))
    images = [
        image({n: rng.normal(0, 2) for n in (both if k % 3 else ["pixel"])}, number=k, rule=rule)
        for k in range(300)
    ]
    file = calibrate(images, rule, PROMISE)
    assert file.fusion == rule.model
    called = [calibrated_verdict(file, rule, one.verdict.branches) == "fake" for one in images]
    assert sum(called) == file.alarms == allowed_alarms(300, 0.05, 0.9)


def test_the_file_comes_back_and_fits_its_own_detector_only(tmp_path):
    file = calibrate(world(np.random.default_rng(1), 200, 40), FUSIONS["or"], PROMISE)
    write_calibration(file, tmp_path / "c.json")
    assert read_calibration(tmp_path / "c.json") == file
    models = dict(file.models)
    file.check(models, "or")
    for other, fusion, word in (
        (models, "vote", "--fusion or"),
        ({**models, "pixel": "p@other"}, "or", "made with the pixel model"),
        ({"pixel": models["pixel"]}, "or", "made with a branch semantic"),
        ({**models, "gamma": "g@1"}, "or", "knows no branch gamma"),
    ):
        with pytest.raises(CalibrationError, match=word):
            file.check(other, fusion)
    (tmp_path / "c.json").write_text('{"version": 1}')
    with pytest.raises(CalibrationError, match="no calibration of this version"):
        read_calibration(tmp_path / "c.json")


def test_scaling_changes_scores_and_no_verdict():
    rng = np.random.default_rng(4)
    images = world(rng, 300, 300)
    for scaling in ("temperature", "isotonic"):
        file = calibrate(images, FUSIONS["or"], PROMISE, scaling=scaling)
        plain = replace(
            file,
            branches={n: replace(b, curve=None, scaling=None) for n, b in file.branches.items()},
        )
        for one in images[::7]:
            for name, evidence in one.verdict.branches.items():
                scaled = CalibratedBranch(_Named(name), file).read(evidence)
                as_is = CalibratedBranch(_Named(name), plain).read(evidence)
                assert scaled.verdict == as_is.verdict
                assert (scaled.score >= scaled.threshold) == (as_is.score >= as_is.threshold)
    with pytest.raises(CalibrationError, match="under weighted"):
        calibrate(images, FUSIONS["weighted"], PROMISE, scaling="isotonic")


def test_scaling_mends_scores_that_are_too_sure():
    """Log-odds three times too large: the temperature is a third, and both scalings mend them."""
    rng = np.random.default_rng(6)
    true = rng.normal(0, 1.5, 6000)
    fake = rng.random(6000) < 1 / (1 + np.exp(-true))
    curve = temperature(3 * true, fake)
    assert curve.of_odds(np.array([3.0]))[0] == pytest.approx(1.0, abs=0.08)
    found = compare(3 * true, fake)
    assert found["as is"].ece > 0.12
    assert found["temperature"].ece < 0.03
    assert found["isotonic"].ece < 0.03
    assert found["temperature"].brier < found["as is"].brier


def test_an_isotonic_curve_never_makes_two_scores_one():
    rng = np.random.default_rng(6)
    odds = rng.normal(0, 3, 500)
    curve = isotonic(odds, rng.random(500) < 0.5)
    levels = curve.of_odds(np.linspace(-12, 12, 2000))
    assert (np.diff(levels) > 0).all()


def test_quality_by_hand():
    scores, fake = np.array([0.1, 0.1, 0.9, 0.9]), np.array([False, True, True, True])
    # Photos weigh one half in all, fakes one sixth each.
    brier = 0.5 * 0.01 + (0.81 + 0.01 + 0.01) / 6
    low = abs(0.5 * 0.1 + (0.1 - 1) / 6)
    high = abs(2 * (0.9 - 1) / 6)
    assert quality(scores, fake).brier == pytest.approx(brier)
    assert quality(scores, fake).ece == pytest.approx(low + high)


def test_a_curve_must_rise():
    with pytest.raises(ValueError, match="rise"):
        Curve((0.0, 1.0), (1.0, 1.0))
