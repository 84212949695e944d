"""The records: their fields, their order, and what is left out when it does not apply."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligngemini import __version__
from aligngemini.evidence import Evidence, Problem, Signal, label_for
from aligngemini.record_id import record_id
from aligngemini.verdict import Verdict

PIXEL = Evidence(
    verdict="fake",
    score=0.97,
    threshold=0.5,
    threshold_real=0.2,
    model="compact-v1@0123456789ab",
    ms=21.4321,
)


def test_record_has_the_documented_fields_in_order():
    verdict = Verdict(
        path="a.jpg",
        sha256="00ff",
        width=800,
        height=600,
        format="JPEG",
        verdict="fake",
        score=0.97,
        branches={
            "pixel": PIXEL,
            "semantic": Evidence(skipped="no vision-language model configured"),
            "provenance": Evidence(signals=()),
        },
        notes=("first of 12 frames",),
    )
    assert verdict.to_json() == (
        '{"path": "a.jpg", "sha256": "00ff", "width": 800, "height": 600, "format": "JPEG", '
        '"verdict": "fake", "score": 0.97, "fusion": "or", '
        '"disagreement": false, '
        '"branches": {"pixel": {"score": 0.97, "verdict": "fake", "threshold": 0.5, '
        '"threshold_real": 0.2, "model": "compact-v1@0123456789ab", "ms": 21.4}, '
        '"semantic": {"skipped": "no vision-language model configured"}, '
        '"provenance": {"verdict": null, "signals": []}}, '
        f'"notes": ["first of 12 frames"], "error": null, "version": "{__version__}", '
        f'"id": "{verdict.id}"}}'
    )


def test_unreadable_input_has_every_field_too():
    record = Verdict(path="b.png", error=Problem("truncated", "the file ends early")).to_dict()
    assert record == {
        "path": "b.png",
        "sha256": None,
        "width": None,
        "height": None,
        "format": None,
        "verdict": None,
        "score": None,
        "fusion": "or",
        "disagreement": False,
        "branches": {},
        "notes": [],
        "error": {"code": "truncated", "message": "the file ends early"},
        "version": __version__,
        "id": record_id(record),
    }
    assert list(record) == list(Verdict(path="").to_dict())


def test_skipped_branch_says_nothing_else():
    evidence = Evidence(verdict="real", score=0.1, ms=3.0, skipped="switched off")
    assert evidence.to_dict() == {"skipped": "switched off"}


def test_branch_that_failed_keeps_its_empty_score():
    evidence = Evidence(model="m@1", error=Problem("internal", "no number"))
    assert evidence.to_dict() == {
        "score": None,
        "verdict": None,
        "model": "m@1",
        "error": {"code": "internal", "message": "no number"},
    }


def test_remark_stands_beside_the_thresholds_it_overrules():
    evidence = Evidence(
        verdict="undecided", score=0.9, threshold=0.7, remark="too small", model="m"
    )
    assert list(evidence.to_dict().items()) == [
        ("score", 0.9),
        ("verdict", "undecided"),
        ("threshold", 0.7),
        ("remark", "too small"),
        ("model", "m"),
    ]


def test_zero_is_a_value_and_not_an_absence():
    evidence = Evidence(verdict="real", score=0.0, threshold=0.0, threshold_real=0.0, ms=0.0)
    assert evidence.to_dict() == {
        "score": 0.0,
        "verdict": "real",
        "threshold": 0.0,
        "threshold_real": 0.0,
        "ms": 0.0,
    }


def test_signals_replace_the_score():
    signal = Signal("c2pa", "signed-trusted", "ai", "made with a tool")
    assert Evidence(verdict="fake", signals=(signal,), ms=1.26).to_dict() == {
        "verdict": "fake",
        "signals": [
            {
                "kind": "c2pa",
                "state": "signed-trusted",
                "claim": "ai",
                "detail": "made with a tool",
            }
        ],
        "ms": 1.3,
    }


def test_heatmap_is_not_part_of_the_record_or_of_equality():
    assert Evidence(heatmap=object()).to_dict() == Evidence().to_dict()
    assert Evidence(heatmap=object()) == Evidence()


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_no_record_holds_what_json_cannot(score):
    with pytest.raises(ValueError, match="JSON"):
        Verdict(path="a", score=score).to_json()


@given(path=st.text(), message=st.text())
def test_any_text_gives_one_ascii_line_that_reads_back(path, message):
    line = Verdict(path=path, error=Problem("corrupt", message)).to_json()
    assert line.isascii()
    assert "\n" not in line
    record = json.loads(line)
    assert (record["path"], record["error"]["message"]) == (path, message)


@pytest.mark.parametrize(
    ("score", "label"),
    [
        (0.0, "real"),
        (math.nextafter(0.2, 0), "real"),
        (0.2, "undecided"),
        (math.nextafter(0.7, 0), "undecided"),
        (0.7, "fake"),
        (1.0, "fake"),
    ],
)
def test_label_at_the_edges(score, label):
    assert label_for(score, threshold=0.7, threshold_real=0.2) == label


def test_equal_thresholds_leave_no_room_for_doubt():
    labels = [label_for(score, 0.5, 0.5) for score in (math.nextafter(0.5, 0), 0.5)]
    assert labels == ["real", "fake"]
