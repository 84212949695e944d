"""Vote, weighted and fitted rules against their definitions spelled out; provenance under all."""

import itertools
import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from fixtures.drawn import striped
from fixtures.evidence import (
    MODELS,
    answers,
    combination,
    drawn_images,
    fusion_file,
    scored,
)
from hypothesis import given
from hypothesis import strategies as st

from aligngemini import Detector
from aligngemini.evaluation.fusion_fit import fit_fusion
from aligngemini.evaluation.guarantee import upper_bound
from aligngemini.evidence import Evidence
from aligngemini.fusion import FUSIONS, FusionError, join, open_rule
from aligngemini.fusion.fitted import FittedRule, fingerprint, write_fusion
from aligngemini.fusion.rules import Vote, Weighted
from aligngemini.verdict import Verdict

LABELS = ("fake", "undecided", "real", None)
NAMES = ("pixel", "pixel-2", "semantic")
FITTED = FittedRule(
    fusion_file(
        combination({"pixel": 1.0, "semantic": 2.0}, bias=-0.5, threshold=0.8, threshold_real=0.3),
        combination({"pixel": 1.5}, threshold=0.9, threshold_real=0.1),
    )
)
RULES = [*FUSIONS.values(), FITTED]


def logit(p):
    return math.log(p / (1 - p))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("labels", list(itertools.product(LABELS, repeat=3)))
def test_vote_takes_more_than_half(labels):
    branches = {str(k): Evidence(verdict=label) for k, label in enumerate(labels)}
    votes = [label for label in labels if label]
    expected = "undecided" if votes else None
    for side in ("fake", "real"):
        if votes.count(side) > len(votes) / 2:
            expected = side
    assert Vote().fuse(branches).verdict == expected


def test_vote_gives_the_score_the_majority_hangs_on():
    strict, eager, sure = scored(0.9, 0.98), scored(0.6, 0.5), scored(0.99, 0.5)
    fuse = Vote().fuse
    assert fuse({"pixel": strict}).score == 0.9
    assert fuse({"pixel": strict, "semantic": eager}).score == 0.9  # the one that must still agree
    assert fuse({"pixel": sure, "semantic": eager}).score == 0.6
    three = fuse({"pixel": strict, "pixel-2": eager, "semantic": sure})
    assert (three.verdict, three.score) == ("fake", 0.6)


def test_weighted_is_the_mean_of_log_odds_read_against_that_of_thresholds():
    branches = {"pixel": scored(0.8, 0.9, 0.3), "semantic": scored(0.7, 0.5, 0.4)}
    fused = Weighted({"semantic": 3}).fuse(branches)
    assert fused.score == pytest.approx(sigmoid((logit(0.8) + 3 * logit(0.7)) / 4))
    assert fused.threshold == pytest.approx(sigmoid((logit(0.9) + 3 * logit(0.5)) / 4))
    assert fused.threshold_real == pytest.approx(sigmoid((logit(0.3) + 3 * logit(0.4)) / 4))
    assert fused.verdict == "fake"
    assert Weighted({"pixel": 3}).fuse(branches).verdict == "undecided"


def test_experts_of_one_kind_share_its_weight():
    shares = Weighted({"pixel": 2}).shares(dict.fromkeys(NAMES))
    assert shares == pytest.approx({"pixel": 1 / 3, "pixel-2": 1 / 3, "semantic": 1 / 3})
    with pytest.raises(ValueError, match="negative"):
        Weighted({"pixel": -1})


@given(st.lists(answers("pixel"), min_size=1, max_size=3))
def test_where_all_agree_weighted_says_the_same(evidence):
    branches = dict(zip(NAMES, evidence, strict=False))
    counted = {one.verdict for one in evidence if one.score is not None and not one.remark}
    if len(counted) == 1:
        assert Weighted().fuse(branches).verdict == counted.pop()


@pytest.mark.parametrize("rule", [Weighted(), FITTED], ids=lambda rule: rule.name)
def test_scores_that_mean_nothing_are_not_weighed(rule):
    said = scored(0.9, 0.8)
    out_of_scope = replace(scored(0.999), verdict="undecided", remark="too small")
    for absent in (out_of_scope, Evidence(verdict="fake", remark="label only"), Evidence()):
        with_it, alone = rule.fuse({"pixel": said, "semantic": absent}), rule.fuse({"pixel": said})
        assert with_it == alone
        assert rule.fuse({"semantic": absent}).verdict == ("undecided" if absent.verdict else None)
    assert rule.fuse({"semantic": out_of_scope}).remark


def test_a_fitted_rule_takes_the_sum_for_those_that_answered():
    branches = {"semantic": scored(0.6), "pixel": scored(0.7)}
    both = FITTED.fuse(branches)
    assert both.score == pytest.approx(sigmoid(-0.5 + logit(0.7) + 2 * logit(0.6)))
    assert (both.threshold, both.threshold_real, both.verdict) == (0.8, 0.3, "undecided")
    assert both.model == f"learned@{fingerprint(FITTED.file)}"
    alone = FITTED.fuse({**branches, "semantic": Evidence()})
    assert alone.score == pytest.approx(sigmoid(1.5 * logit(0.7)))
    assert (alone.threshold, alone.false_alarm_rate) == (0.9, 0.01)
    unknown = FITTED.fuse({"semantic": scored(0.9)})
    assert (unknown.verdict, unknown.score) == ("undecided", None)
    assert "not fitted for semantic" in unknown.remark


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("score", [0.01, 0.5, 0.99])
def test_a_signature_outdoes_every_rule_and_hints_move_none(rule, score):
    looking = {"pixel": scored(score, 0.9, 0.1), "semantic": scored(score, 0.9, 0.1)}
    before = join(rule, looking)
    hint = Evidence(signals=())
    assert join(rule, {**looking, "provenance": hint}) == before
    signed = {"provenance": Evidence(verdict="fake", signals=())}
    assert join(rule, {**looking, **signed}) == ("fake", before[1])
    assert join(rule, signed)[0] == "fake"
    doubt = {"provenance": Evidence(verdict="undecided", signals=())}
    assert join(rule, {**looking, **doubt})[0] == ("fake" if before[0] == "fake" else "undecided")


@pytest.mark.parametrize(
    ("labels", "disagree"),
    [
        (("fake", "real", None), True),
        (("fake", "undecided", None), False),
        (("fake", "fake", None), False),
        (("real", None, "fake"), False),  # a signature is not a look at the picture
    ],
)
def test_disagreement_is_between_branches_that_look_at_the_picture(labels, disagree):
    pixel, semantic, provenance = labels
    branches = {
        "pixel": Evidence(verdict=pixel),
        "semantic": Evidence(verdict=semantic),
        "provenance": Evidence(verdict=provenance, signals=()),
    }
    assert Verdict("a.png", branches=branches).to_dict()["disagreement"] is disagree


class Says:
    fingerprint = "1"

    def __init__(self, name, evidence, fingerprint="1"):
        self.name, self.evidence, self.fingerprint = name, evidence, fingerprint

    def judge(self, images, *, heatmaps=False):
        return [self.evidence] * len(images)


def test_the_record_names_the_rule_its_file_and_its_thresholds(tmp_path):
    write_fusion(FITTED.file, tmp_path / "fusion.json")
    branches = [Says("pixel", scored(0.99)), Says("semantic", scored(0.1), "3")]
    verdict = Detector(branches, fusion=tmp_path / "fusion.json").judge(striped(40, 40, 9))
    record = json.loads(verdict.to_json())
    assert (record["fusion"], record["disagreement"]) == ("learned", True)
    assert record["fused"] == {
        "score": record["score"],
        "verdict": record["verdict"],
        "threshold": 0.8,
        "threshold_real": 0.3,
        "false_alarm_rate": 0.01,
        "false_alarm_bound": 0.05,
        "model": f"learned@{fingerprint(FITTED.file)}",
    }
    assert verdict.scale is verdict.fused
    plain = Detector(branches).judge(striped(40, 40, 9))
    assert "fused" not in plain.to_dict()
    assert plain.scale is plain.branches["pixel"]


def test_a_fitted_rule_refuses_other_models_and_takes_fewer():
    Detector([Says("pixel", scored(0.5))], fusion=FITTED)
    with pytest.raises(FusionError, match=r"pixel model p@1.*this one is 9"):
        Detector([Says("pixel", scored(0.5), "9")], fusion=FITTED)
    with pytest.raises(FusionError, match="not on a branch gamma"):
        Detector([Says("gamma", scored(0.5))], fusion=FITTED)


def test_a_file_reads_back_and_its_fingerprint_is_that_of_its_numbers(tmp_path):
    path = tmp_path / "fusion.json"
    write_fusion(FITTED.file, path)
    assert [file.name for file in tmp_path.iterdir()] == ["fusion.json"]
    read = open_rule(path)
    assert (read.file, read.model) == (FITTED.file, FITTED.model)
    other = replace(FITTED.file, combinations=(combination({"pixel": 1.5 + 1e-12}),))
    assert fingerprint(other) != fingerprint(FITTED.file)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "version 2"),
        ({"rule": "magic"}, "magic"),
        ({"rule": None}, "rule must be a text"),
        ({"combinations": [{"weights": {"pixel": 1.0}}]}, "missing"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, change, said):
    path = tmp_path / "fusion.json"
    path.write_text(json.dumps({**asdict(FITTED.file), **change}))
    with pytest.raises(FusionError, match=said):
        open_rule(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b"{"])
def test_a_file_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "fusion.json"
    path.write_bytes(content)
    with pytest.raises(FusionError, match="no fusion file"):
        open_rule(path)


def test_learned_is_the_ridge_logistic_regression():
    """Against Newton's method on the same loss, written out."""
    images = drawn_images(200, shift=(2.0, 1.0))
    file = fit_fusion(images, seed=3)
    both = next(one for one in file.combinations if len(one.weights) == 2)
    groups = [image.row.path for image in images]
    order = np.random.default_rng(3).permutation(len(groups))
    fitted = [images[k] for k in sorted(order[round(len(groups) / 3) :])]
    x = np.array(
        [[logit(image.verdict.branches[n].score) for n in both.weights] + [1] for image in fitted]
    )
    y = np.array([image.row.label == "fake" for image in fitted], float)
    balance = np.where(y == 1, len(y) / (2 * y.sum()), len(y) / (2 * (1 - y).sum()))
    ridge = np.diag([1.0, 1.0, 0.0])
    w = np.zeros(3)
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ w))
        gradient = x.T @ (balance * (p - y)) + ridge @ w
        w -= np.linalg.solve((x.T * (balance * p * (1 - p))) @ x + ridge, gradient)
    assert [*both.weights.values(), both.bias] == pytest.approx(w.tolist(), abs=1e-4)


@pytest.mark.parametrize("rule", ["learned", "weighted"])
def test_the_figures_in_the_file_are_those_of_the_rule_at_work(rule):
    images = drawn_images(300, missing=("semantic",))
    file = fit_fusion(images, rule=rule, seed=1)
    assert [list(one.weights) for one in file.combinations] == [
        ["pixel"],
        ["semantic"],
        ["pixel", "semantic"],
    ]
    groups = np.random.default_rng(1).permutation(len(images))
    at_work = FittedRule(file)
    held_out = [images[k] for k in groups[: round(len(images) / 3)]]
    for one in file.combinations:
        labels = {"real": [], "fake": []}
        for image in held_out:
            branches = {name: image.verdict.branches[name] for name in one.weights}
            if all(evidence.score is not None for evidence in branches.values()):
                labels[image.row.label].append(at_work.fuse(branches).verdict)
        assert (one.photos, one.fakes) == (len(labels["real"]), len(labels["fake"]))
        assert one.false_alarm_rate == labels["real"].count("fake") / one.photos
        assert one.recall == labels["fake"].count("fake") / one.fakes
        assert one.miss_rate == labels["fake"].count("real") / one.fakes
        assert one.threshold >= 0.5


def test_the_false_alarm_rate_asked_for_is_held_on_images_never_seen():
    called_fake = {"real": [], "fake": []}
    fresh = drawn_images(1500, seed=10)
    for seed in range(3):
        rule = FittedRule(fit_fusion(drawn_images(1500, seed=seed), false_alarm_rate=0.05))
        for image in fresh:
            verdict = rule.fuse(image.verdict.branches).verdict
            called_fake[image.row.label].append(verdict == "fake")
    assert np.mean(called_fake["real"]) == pytest.approx(0.05, abs=0.015)
    recall = np.mean(called_fake["fake"])
    # The classes lie sqrt(2 ** 2 + 1 ** 2) apart along the best direction.
    assert recall == pytest.approx(0.5 * math.erfc((1.645 - math.sqrt(5)) / math.sqrt(2)), abs=0.05)


def test_weighted_counts_the_better_branch_more_and_a_useless_one_not():
    (*_, both) = fit_fusion(drawn_images(1000, shift=(2.0, 1.0)), rule="weighted").combinations
    assert both.weights["pixel"] == pytest.approx(2 / 3, abs=0.1)
    assert sum(both.weights.values()) == pytest.approx(1)
    assert both.bias == 0
    (*_, both) = fit_fusion(drawn_images(1000, shift=(2.0, -1.0)), rule="weighted").combinations
    assert both.weights == {"pixel": 1.0, "semantic": 0.0}


def test_no_branch_can_lower_the_score_by_rising():
    file = fit_fusion(drawn_images(500, shift=(2.0, -1.0)))
    (*_, both) = file.combinations
    assert both.weights["semantic"] == 0
    (alone,) = (one for one in file.combinations if list(one.weights) == ["pixel"])
    assert both.weights["pixel"] == pytest.approx(alone.weights["pixel"])
    assert ["semantic"] not in [list(one.weights) for one in file.combinations]


def test_few_photos_that_score_low_are_no_reason_to_accuse():
    images = drawn_images(40, shift=(12.0, 12.0))
    assert {one.threshold for one in fit_fusion(images).combinations} == {0.5}


def test_a_fake_and_its_photo_are_on_one_side():
    """Pairs share their scores: were they split, some group would show on both sides."""
    images = drawn_images(60)
    paired = [
        replace(one, row=replace(one.row, pair=f"/{k - k % 2}.png" if k % 2 else ""))
        for k, one in enumerate(images)
    ]
    for one in fit_fusion(paired).combinations:
        assert one.photos == one.fakes == 20


def test_what_cannot_be_fitted_is_said():
    with pytest.raises(FusionError, match="10 photos and 10 fakes are too few"):
        fit_fusion(drawn_images(10))
    with pytest.raises(FusionError, match="no image has a score"):
        fit_fusion([])
    with pytest.raises(FusionError, match="above these photos"):
        fit_fusion(drawn_images(200, shift=(-2.0, -2.0)))
    images = drawn_images(50)
    for odd, said in (
        (scored(0.5, name="semantic"), r"two models, p@1 and s@3"),
        (Evidence(skipped="not needed: provenance says fake"), "--cascade"),
    ):
        strange = replace(images[7].verdict, branches={"pixel": odd})
        with pytest.raises(FusionError, match=said):
            fit_fusion([*images, replace(images[7], verdict=strange)])


def test_the_bound_on_a_rate_is_the_exact_one():
    for events, trials in ((0, 20), (3, 50), (20, 20)):
        bound = upper_bound(events, trials)
        if events == trials:
            assert bound == 1
            continue
        below = sum(
            math.comb(trials, k) * bound**k * (1 - bound) ** (trials - k) for k in range(events + 1)
        )
        assert below == pytest.approx(0.05)
    assert upper_bound(0, 300) == pytest.approx(0.00994, abs=1e-4)  # the rule of three


def test_files_know_the_models_they_were_fitted_on():
    file = fit_fusion(drawn_images(50), fitted_on="drawn")
    assert file.models == {name: MODELS[name] for name in ("pixel", "semantic")}
    assert file.fitted_on == "drawn"
