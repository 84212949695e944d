import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aligngemini.evidence import Evidence, Problem, Signal
from aligngemini.report import words
from aligngemini.verdict import Verdict


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (Verdict("a", verdict="fake"), "signs of AI generation"),
        (Verdict("a", verdict="undecided"), "undecided"),
        (Verdict("a", verdict="real"), "no sign of AI generation found"),
        (Verdict("a", error=Problem("empty", "no bytes")), "could not be judged: no bytes"),
        (Verdict("a"), "could not be judged: no branch gave a verdict"),
    ],
)
def test_verdict_in_words(verdict, said):
    assert words.verdict_words(verdict) == said


def scored(score, low=0.4, high=0.9, verdict=None):
    return Evidence(verdict=verdict, score=score, threshold=high, threshold_real=low)


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (scored(0.95, verdict="fake"), "signs found, 0.95, at or above 0.90"),
        (scored(0.9, verdict="fake"), "signs found, 0.90, at or above 0.90"),
        (scored(0.5, verdict="undecided"), "undecided, 0.50, between 0.40 and 0.90"),
        (scored(0.4, verdict="undecided"), "undecided, 0.40, between 0.40 and 0.90"),
        (scored(0.1, verdict="real"), "no sign found, 0.10, below 0.40"),
        (scored(0.1, low=None, verdict="real"), "no sign found, 0.10, below 0.90"),
        (scored(0.1, low=None, high=None, verdict="real"), "no sign found, 0.10"),
        (Evidence(verdict="fake"), "signs found"),
        (Evidence(skipped="switched off"), "not run: switched off"),
        (Evidence(error=Problem("internal", "NaN")), "gave no answer: NaN"),
        (Evidence(signals=()), "nothing found in the file"),
    ],
)
def test_evidence_and_its_reason(evidence, said):
    assert words.why_words(evidence) == said


@pytest.mark.parametrize(
    ("state", "claim", "said"),
    [
        ("signed-trusted", "ai", "C2PA: made with AI (signed and trusted)"),
        ("signed-untrusted", "camera", "C2PA: taken with a camera (signed, signer not trusted)"),
        ("invalid", "edited", "C2PA: edited (signed, but the signature does not hold)"),
        ("hint", "ai", "C2PA: made with AI (unsigned hint, anyone can write it)"),
        ("unreadable", None, "C2PA: there, but could not be read"),
    ],
)
def test_how_far_a_signal_can_be_believed_is_always_said(state, claim, said):
    signal = Signal("c2pa", state, claim, "")
    assert words.signal_words(signal) == said
    assert words.evidence_words(Evidence(signals=(signal,))) == said


def test_unreadable_metadata_is_never_nothing_found():
    evidence = Evidence(signals=(Signal("xmp", "unreadable", None, ""),))
    assert "nothing found" not in words.evidence_words(evidence)


def test_branch_that_failed_half_way_keeps_what_it_found():
    found = Signal("c2pa", "signed-trusted", "ai", "")
    error = Problem("internal", "xmp reader")
    evidence = Evidence(verdict="fake", signals=(found,), error=error)
    assert words.evidence_words(evidence) == "C2PA: made with AI (signed and trusted)"
    assert words.why_words(evidence).endswith("; failed in part: xmp reader")
    assert words.why_words(Evidence(signals=(), error=error)) == "gave no answer: xmp reader"


scores = st.floats(0, 1).map(lambda value: round(value, 5))


@given(scores, scores)
@example(0.8996, 0.9)
@example(0.99997, 1.0)
@example(0.00001, 0.0)
def test_shown_score_stays_on_its_side_of_the_threshold(score, threshold):
    shown = float(words.number(score, threshold)), float(words.number(threshold, score))
    assert (shown[0] >= shown[1]) == (score >= threshold)
    assert (shown[0] == 1) == (score == 1)
    assert (shown[0] == 0) == (score == 0)


@pytest.mark.parametrize(
    ("value", "beside", "shown"),
    [
        (0.5, (0.9, None), "0.50"),
        (0.8996, (0.9,), "0.8996"),
        (0.8996, (0.95,), "0.90"),
        (0.997, (), "0.997"),
        (1.0, (0.9,), "1.00"),
    ],
)
def test_score_has_two_decimals_or_as_many_as_it_needs(value, beside, shown):
    assert words.number(value, *beside) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("photo_\u202egpj.exe", r"photo_\u202egpj.exe"),
        ("a\nb\x00\x1b[31m", r"a\nb\x00\x1b[31m"),
        ("bad\udcff.jpg", r"bad\udcff.jpg"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("Screenshot 10.15\u202fPM.png", "Screenshot 10.15\u202fPM.png"),
        ("شارع.jpg", "شارع.jpg"),
        ("क\u094d\u200dष.png", "क\u094d\u200dष.png"),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(text, shown):
    assert words.printable(text) == shown


@given(st.text(st.characters()))
def test_printable_text_can_be_written(text):
    words.printable(text).encode()


def test_printable_shows_what_a_terminal_would_obey():
    assert words.printable("a\x1b[2J\nb\r.jpg") == "a\\x1b[2J\\nb\\r.jpg"
    assert words.printable("Übung 日本 [1].jpg") == "Übung 日本 [1].jpg"
    assert words.printable("d/caf\udce9.jpg") == "d/caf\\udce9.jpg"
    words.printable("\udcff\u202e").encode("utf-8")
