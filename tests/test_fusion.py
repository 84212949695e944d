"""OR over the branches, against its definition spelled out."""

import itertools

import pytest

from aligngemini.evidence import Evidence
from aligngemini.fusion import FUSIONS, fuse_or

LABELS = ("fake", "undecided", "real", None)


@pytest.mark.parametrize("labels", list(itertools.product(LABELS, repeat=3)))
def test_truth_table(labels):
    branches = {str(k): Evidence(verdict=label) for k, label in enumerate(labels)}
    strongest = next((label for label in LABELS[:3] if label in labels), None)
    assert fuse_or(branches) == (strongest, None)


@pytest.mark.parametrize("labels", list(itertools.product(LABELS, repeat=2)))
@pytest.mark.parametrize("scores", list(itertools.product((0.2, 0.9, None), repeat=2)))
def test_score_is_the_highest_of_those_that_gave_the_verdict(labels, scores):
    branches = {
        str(k): Evidence(verdict=label, score=score)
        for k, (label, score) in enumerate(zip(labels, scores, strict=True))
    }
    voted = [(label, s) for label, s in zip(labels, scores, strict=True) if label and s is not None]
    strongest = fuse_or(branches)[0]
    deciding = [s for label, s in voted if label == strongest] or [s for _, s in voted]
    assert fuse_or(branches)[1] == (max(deciding) if deciding else None)


def test_a_score_of_zero_is_a_score():
    assert fuse_or({"pixel": Evidence(verdict="real", score=0.0)}) == ("real", 0.0)


def test_skipped_branches_do_not_vote():
    branches = {"semantic": Evidence(skipped="off"), "pixel": Evidence(verdict="real", score=0.1)}
    assert fuse_or(branches) == ("real", 0.1)
    assert fuse_or({"semantic": Evidence(skipped="off")}) == (None, None)
    assert fuse_or({}) == (None, None)


def test_or_is_known_by_its_name():
    branches = {"pixel": Evidence(verdict="real", score=0.25)}
    fused = FUSIONS["or"].fuse(branches)
    assert (fused.verdict, fused.score) == fuse_or(branches)


def test_score_is_that_of_the_expert_closest_to_saying_fake():
    strict = Evidence(verdict="real", score=0.9, threshold=0.98)
    for eager, label in ((0.6, "fake"), (0.3, "real")):
        branches = {"a": strict, "b": Evidence(verdict=label, score=eager, threshold=0.5)}
        assert fuse_or(branches) == (label, eager)
    sure = Evidence(verdict="fake", score=0.999, threshold=0.98)
    assert fuse_or({"a": sure, "b": Evidence(verdict="real", score=0.4, threshold=0.5)})[1] == 0.999
    never = Evidence(verdict="real", score=0.97, threshold=1.0)  # switched off, as published
    assert fuse_or({"a": never, "b": Evidence(verdict="real", score=0.1, threshold=0.5)})[1] == 0.1


def test_score_comes_from_the_branch_that_gave_the_verdict():
    doubting = Evidence(verdict="undecided", score=0.4, threshold=0.9, threshold_real=0.3)
    sure = Evidence(verdict="real", score=0.49, threshold=0.5, threshold_real=0.5)
    assert fuse_or({"pixel": doubting, "semantic": sure}) == ("undecided", 0.4)
