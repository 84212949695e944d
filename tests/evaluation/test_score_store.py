import json

import pytest

from aligngemini.evaluation.store import FILE, Judgment, Said, Store
from aligngemini.evidence import Evidence, Problem
from aligngemini.verdict import Verdict

GOOD = Judgment(said={"fused": Said(0.1 + 0.2, "undecided", 0.7, 0.3)})
BROKEN = Judgment(error="truncated")
LATE = Judgment(error="timeout")
HALF = Judgment(
    said={"fused": Said(0.9, "fake", 0.7, 0.3), "semantic": Said(*[None] * 4, "unavailable")}
)


def test_what_was_kept_is_found_by_content_delivery_and_detector(tmp_path):
    with Store(tmp_path, "one") as store:
        store.add("a", None, GOOD)
        store.add("a", "jpeg:96", BROKEN)
        assert store.get("a", None) == GOOD
    again = Store(tmp_path, "one")
    assert len(again) == 2
    assert again.get("a", None) == GOOD  # to the last digit
    assert again.get("a", "jpeg:96") == BROKEN
    assert again.get("b", None) is None
    assert Store(tmp_path, "two").get("a", None) is None


def test_a_line_that_a_kill_cut_short_costs_that_image_alone(tmp_path):
    with Store(tmp_path, "one") as store:
        for name in "abc":
            store.add(name, None, GOOD)
    file = tmp_path / FILE
    file.write_bytes(file.read_bytes()[:-20])
    with Store(tmp_path, "one") as store:
        assert [store.get(name, None) for name in "abc"] == [GOOD, GOOD, None]
        store.add("c", None, GOOD)
    assert len(Store(tmp_path, "one")) == 3


@pytest.mark.parametrize(
    "line", ["[]", "7", '{"detector": "one"}', '{"detector": "one", "sha256": "x", "said": []}']
)
def test_lines_of_others_are_passed_over(tmp_path, line):
    (tmp_path / FILE).write_text(f"{line}\n")
    assert len(Store(tmp_path, "one")) == 0


def test_retry_forgets_what_may_have_passed_and_nothing_else(tmp_path):
    with Store(tmp_path, "one") as store:
        for name, judgment in (("a", GOOD), ("b", BROKEN), ("c", LATE), ("d", HALF)):
            store.add(name, None, judgment)
    with Store(tmp_path, "one", retry=True) as store:
        assert [store.get(name, None) is not None for name in "abcd"] == [True, True, False, False]
        store.add("c", None, GOOD)
    assert Store(tmp_path, "one").get("c", None) == GOOD  # the later line counts


def test_what_is_kept_of_a_verdict():
    pixel = Evidence(verdict="fake", score=0.9, threshold=0.7, threshold_real=0.3, model="m@1")
    verdict = Verdict(
        "a.png",
        verdict="fake",
        score=0.9,
        branches={
            "pixel": pixel,
            "pixel-2": Evidence(error=Problem("unavailable", "no answer")),
            "semantic": Evidence(skipped="not configured"),
            "provenance": Evidence(signals=()),
        },
    )
    said = Said(0.9, "fake", 0.7, 0.3)
    kept = Judgment.of(verdict)
    assert kept.said == {
        "fused": said,
        "pixel": said,
        "pixel-2": Said(None, None, None, None, "unavailable"),
    }
    assert Judgment.of(Verdict("a", error=Problem("corrupt", "?"))) == Judgment(error="corrupt")


def test_thresholds_of_a_rule_with_a_score_of_its_own_are_the_rules():
    fused = Evidence(verdict="real", score=0.2, threshold=0.6, threshold_real=0.4)
    pixel = Evidence(verdict="real", score=0.1, threshold=0.7, threshold_real=0.3)
    verdict = Verdict("a", verdict="real", score=0.2, branches={"pixel": pixel}, fused=fused)
    assert Judgment.of(verdict).said["fused"] == Said(0.2, "real", 0.6, 0.4)


def test_the_file_is_plain_json_lines(tmp_path):
    with Store(tmp_path, "one") as store:
        store.add("a", None, GOOD)
    (line,) = (tmp_path / FILE).read_text().splitlines()
    assert json.loads(line)["sha256"] == "a"
