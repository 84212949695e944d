"""What is said of a verdict: against the rules themselves, and never more than is known."""

import json
import re
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files

import pytest
from fixtures.evidence import answers, scored
from hypothesis import given, settings
from hypothesis import strategies as st

import aligngemini.report.explain as explain_module
from aligngemini.evidence import Evidence, Problem, Signal
from aligngemini.fusion import FUSIONS, join
from aligngemini.report import turning, words
from aligngemini.report.explain import explain, id_words
from aligngemini.report.html import HtmlReport
from aligngemini.report.record import RecordError, parse_record
from aligngemini.report.turning import what_would_change
from aligngemini.verdict import SCOPE_WORDS, Guarantee, Scope, Verdict

PIXEL = scored(0.5, 0.9, 0.3)


def judged(branches, rule="or", **fields):
    """The verdict that the rule itself gives."""
    label, fused = join(FUSIONS[rule], branches)
    has_scale = fused.threshold is not None or fused.remark is not None
    return Verdict(
        path="a.jpg",
        sha256="0" * 64,
        verdict=label,
        score=fused.score,
        fusion=rule,
        fused=fused if has_scale else None,
        branches=branches,
        **fields,
    )


def said(verdict):
    return "\n".join(line for _, lines in explain(verdict) for line in lines)


names = ("pixel", "pixel-2", "semantic", "provenance")
evidence = st.fixed_dictionaries({}, optional={name: answers(name) for name in names})


@settings(max_examples=100, deadline=None)
@given(evidence, st.sampled_from(["or", "vote"]))
def test_each_turn_is_what_the_rule_says_of_it(branches, rule):
    """Every sentence that names a score and a verdict, tried on the rule."""
    verdict = judged(branches, rule)
    titles = {title: name for name, title in words.branch_titles(verdict).items()}
    pattern = re.compile(r"^(.*) with a score (from|below) ([0-9.]+).* instead of [0-9.]+: (.*)\.$")
    labels = {text: label for label, text in words.KIND_WORDS.items()}
    for line in what_would_change(verdict):
        found = pattern.match(line)
        if found is None:
            continue
        title, side, _, result = found.groups()
        name = titles[title]
        before = branches[name]
        high, low = before.threshold, before.threshold_real
        score = high if " up instead" in line else (low if side == "from" else low / 2)
        label = "fake" if " up instead" in line else ("undecided" if side == "from" else "real")
        turned = {**branches, name: replace(before, score=score, verdict=label)}
        assert join(FUSIONS[rule], turned)[0] == labels[result] != verdict.verdict


@settings(max_examples=50, deadline=None)
@given(evidence, st.sampled_from(list(FUSIONS)))
def test_anything_can_be_explained_and_read_back(branches, rule):
    verdict = judged(branches, rule)
    record = json.loads(verdict.to_json())
    assert id_words(record)[0]
    assert explain(parse_record(record)) == explain(verdict)


def test_branch_by_branch_with_score_and_threshold():
    text = said(judged({"pixel": PIXEL, "semantic": Evidence(skipped="no model")}))
    assert "Pixels: undecided, 0.50, between 0.30 and 0.90. Asked was p@1" in text
    assert "Content: whether what the picture shows is possible (no model)" in text
    assert "GAMMA: whether a part was generated or changed, and where (not asked for)" in text
    assert "Joined by or" in text
    assert "It follows Pixels" in text
    assert "Pixels with a score from 0.90 up instead of 0.50: signs of AI generation" in text
    assert "Pixels with a score below 0.30 instead of 0.50: no sign" in text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "nobody measured"),
        ({"false_alarm_rate": 0.01}, "Pixels: 1 % of held-out photos reach its threshold."),
        ({"false_alarm_rate": 0.01, "false_alarm_bound": 0.03}, "(95 % sure: at most 3 %)"),
    ],
)
def test_known_error_rates_are_said_and_unknown_ones_too(fields, text):
    assert text in said(judged({"pixel": replace(PIXEL, **fields)}))


def test_a_guarantee_takes_the_place_of_rates():
    promise = Guarantee("calibration@1", 0.01, 0.95, 300, "300 photos of ours", "2026-01-01")
    text = said(judged({"pixel": PIXEL}, guarantee=promise))
    assert "with 95 % confidence at most 1 %" in text
    assert "Of photos from elsewhere nothing is promised." in text


def test_out_of_scope_is_said_with_what_was_measured():
    scope = Scope(("flat",), {"flat": 0.834}, rules=1)
    muted = replace(PIXEL, score=0.99, verdict="undecided", remark=scope.remark)
    text = said(judged({"pixel": muted}, scope=scope))
    assert "mostly flat colour" in text
    assert "0.83 of the pixels equal their neighbour; in scope up to 0.70" in text
    assert "No score would, as long as the picture is out of scope." in text
    assert "with a score" not in text
    assert "Nobody measured it on pictures that are out of scope." in text


def test_the_limits_named_are_those_in_force():
    from aligngemini.images import scope as rules

    for reason, numbers in {
        "constant": [rules.LEAST_CONTRAST],
        "flat": [rules.MOST_FLAT],
        "few-colours": [rules.MOST_OF_FEW_COLOURS],
        "text": [rules.LEAST_PAPER, rules.LEAST_STROKES, rules.MOST_SATURATION],
    }.items():
        behind = explain_module.LIMITS[reason].partition(";")[2]
        assert [float(n) for n in re.findall(r"[0-9.]*[0-9]", behind)] == numbers


def test_a_signature_and_what_is_left_without_it():
    signal = Signal("c2pa", "signed-trusted", "ai", "")
    signed = Evidence(verdict="fake", signals=(signal,), model="provenance@rules-1+trust-1")
    verdict = judged({"pixel": PIXEL, "provenance": signed})
    text = said(verdict)
    assert "made with AI (signed and trusted)" in text
    assert "Without the signed statement: undecided." in text
    assert "no list of trusted signers" not in text
    unsigned = Evidence(signals=(Signal("exif", "hint", "ai", ""),), model="provenance@rules-1")
    text = said(judged({"pixel": PIXEL, "provenance": unsigned}))
    assert "Unsigned hints move no verdict" in text
    assert "no list of trusted signers" in text


def test_what_could_not_be_judged_has_its_reason_and_no_rates():
    text = said(Verdict("a.jpg", error=Problem("empty", "the file is empty")))
    assert "The reason: the file is empty." in text
    assert "threshold" not in text


def test_edited_records_are_told_apart():
    record = json.loads(judged({"pixel": PIXEL}).to_json())
    assert id_words(record) == (True, id_words(record)[1])
    answer = {**record, "verdict": "real"}
    matches, text = id_words(answer)
    assert not matches
    assert "what was answered" in text
    matches, text = id_words({**record, "sha256": "f" * 64})
    assert not matches
    assert "what was judged" in text
    del record["id"]
    assert "no id" in id_words(record)[1]


def explained(record):
    """What `aligngemini explain` does with a record."""
    return explain(parse_record(record)), id_words(record)


VALID = json.loads(judged({"pixel": PIXEL}).to_json())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ([1, 2], "the record must be an object"),
        ({"verdict": "authentic"}, "verdict must be one of fake, real, undecided"),
        ({"verdict": ["fake"]}, "verdict must be one of"),
        ({"score": "0.5"}, "score must be a number"),
        ({"score": True}, "score must be a number"),
        ({"score": 1.5}, "score must be a number from 0 to 1"),
        ({"score": 10**400}, "score must be a number"),
        ({"path": "x" * 20_000}, "path must be a text"),
        ({"path": 7}, "path must be a text"),
        ({"branches": []}, "branches must be an object"),
        ({"branches": {str(k): {} for k in range(200)}}, "branches must be an object of 100"),
        ({"branches": {"pixel": {"verdict": "yes"}}}, "branches.pixel.verdict must be one of"),
        ({"branches": {"provenance": {"signals": [{"state": 1}]}}}, "signals"),
        ({"branches": {"gamma": {"areas": {"moved": {"boxes": [[1, 2]]}}}}}, "four whole numbers"),
        ({"error": "broken"}, "error must be an object"),
        ({"error": {"code": "no such"}}, "error.code must be one of"),
        ({"width": -3}, "width must be a whole number"),
        ({"width": 2.5}, "width must be a whole number"),
        ({"notes": "none"}, "notes must be a list"),
        ({"calibration": {"confidence": 95}}, "calibration.confidence must be a number from 0"),
        ({"scope": {"reasons": ["ugly"]}}, "scope.reasons"),
        ({"stability": {"flips": "many"}}, "stability.flips must be a number"),
        ({"id": 5}, "id must be a text"),
    ],
)
def test_hostile_records_are_refused_in_words(change, told):
    record = change if isinstance(change, list) else {**VALID, **change}
    with pytest.raises(RecordError, match=re.escape(told)):
        explained(record)


anything = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([*VALID, "calibration", "scope", "fused", "stability"]), anything)
def test_no_value_anywhere_does_more_than_be_refused(name, value):
    with suppress(RecordError):
        explained({**VALID, name: value})


@pytest.mark.parametrize("field", ["path", "verdict", "branches", "error"])
def test_what_every_record_has_is_asked_for(field):
    record = {name: value for name, value in VALID.items() if name != field}
    with pytest.raises(RecordError, match=f"it has no {field}"):
        parse_record(record)


def test_records_of_the_first_version_are_still_explained():
    first = {
        "path": "a.jpg",
        "sha256": None,
        "verdict": "fake",
        "score": 0.97,
        "fusion": "or",
        "branches": {"pixel": {"score": 0.97, "verdict": "fake", "threshold": 0.5, "model": "c@1"}},
        "error": None,
    }
    verdict = parse_record(first)
    assert "signs found, 0.97, at or above 0.50" in said(verdict)
    assert "no id" in id_words(first)[1]


def test_the_page_has_the_same_text(tmp_path):
    verdict = judged({"pixel": PIXEL, "semantic": Evidence(skipped="no model")})
    with HtmlReport(tmp_path / "page.html") as page:
        page.add(verdict)
    html = (tmp_path / "page.html").read_text()
    assert verdict.id in html
    for title, lines in explain(verdict):
        assert f"<h3>{title}</h3>" in html
        assert all(f"<p>{line}</p>" in html for line in lines)


CLAIMS = re.compile(
    r"\b(is|are|was|looks?) (a |an )?(real|genuine|authentic|true|untouched|unaltered)\b"
    r"|\bproven?\b|\bverified\b|\bcertainly\b|\b(real|genuine) photo\b|\bis a photo\b"
    r"|\bfake image\b|\bis (ai|fake)\b",
    re.IGNORECASE,
)
CAREFUL = ("nobody can prove", "no tool can prove", "does not mean", "no proof", "not proof")
"""A sentence that denies the claim may name it."""


def texts():
    """All that `words`, the explanations and the page's templates can say."""
    for module in (words, explain_module, turning):
        for value in vars(module).values():
            if isinstance(value, str):
                yield value
            elif isinstance(value, dict):
                yield from (text for text in value.values() if isinstance(text, str))
        yield module.__loader__.get_source(module.__name__)
    yield from SCOPE_WORDS.values()
    for template in files("aligngemini.report").joinpath("templates").iterdir():
        yield template.read_text(encoding="utf-8")


def test_no_words_claim_that_an_image_is_real():
    seen = 0
    for text in texts():
        for sentence in re.split(r"(?<=[.;:])\s|\n\n", " ".join(text.split())):
            seen += 1
            if CLAIMS.search(sentence):
                assert any(words in sentence.lower() for words in CAREFUL), sentence
    assert seen > 200


@pytest.mark.parametrize(
    "claim",
    ["This photo is real.", "an authentic image is a photo", "proven to be a camera's", "is fake"],
)
def test_a_claim_would_be_found(claim):
    assert CLAIMS.search(claim)
