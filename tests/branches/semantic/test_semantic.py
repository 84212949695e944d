"""The branch: verdicts, thresholds, reasons, images that it cannot be shown."""

import numpy as np
import pytest
from fixtures.vlm_answers import BRIGHT, DARK, REASONS, shade

from aligngemini.branches.semantic import SemanticBranch
from aligngemini.branches.semantic.explanation import LONGEST, explanation
from aligngemini.branches.semantic.loading import load_semantic
from aligngemini.branches.semantic.local import LocalBackend
from aligngemini.evidence import Evidence
from aligngemini.images.item import Image
from aligngemini.prompts import Prompt
from aligngemini.runtimes.folder import Calibration, ModelError
from aligngemini.runtimes.semantic_folder import open_semantic_folder

LARGEST = 16 * 784
CONTRARY = Prompt().real


@pytest.fixture(scope="module")
def backend(answering):
    return LocalBackend(open_semantic_folder(answering, max_pixels=LARGEST), device="cpu")


@pytest.fixture(scope="module")
def images():
    return [Image(shade(level, seed=5)) for level in (DARK, BRIGHT, DARK)]


def test_the_verdict_is_the_likelier_sentence(backend, images):
    evidence = SemanticBranch(backend).judge(images)
    pairs = backend.vlm.score([image.pixels for image in images])
    for one, (fake, real) in zip(evidence, pairs, strict=True):
        assert one.score == pytest.approx(1 / (1 + np.exp(real - fake)), abs=1e-9)
        assert one.verdict == ("fake" if fake > real else "real")
        assert one.model == f"answering@{backend.fingerprint}"
        assert one.ms > 0
        assert one.explanation is None
        assert "explanation" not in one.to_dict()
    assert [one.verdict for one in evidence] == ["fake", "real", "fake"]


def test_thresholds_and_calibration_are_those_of_the_folder(backend, images, monkeypatch):
    (plain,) = SemanticBranch(backend).judge(images[:1])
    calibration = Calibration(0.5, -0.25, 0.99, 0.01, "drawn images", false_alarm_rate=0.02)
    monkeypatch.setattr(backend, "calibration", calibration)
    (evidence,) = SemanticBranch(backend, explain=True).judge(images[:1])
    logit = np.log(plain.score / (1 - plain.score))
    assert evidence.score == pytest.approx(1 / (1 + np.exp(0.25 - logit / 2)), abs=1e-9)
    assert (evidence.threshold, evidence.threshold_real) == (0.99, 0.01)
    assert evidence.false_alarm_rate == 0.02
    assert evidence.verdict == "undecided"
    assert evidence.explanation is None, "there is nothing to give reasons for"


def test_reasons_are_for_the_verdict_there_is(backend, images):
    evidence = SemanticBranch(backend, explain=True).judge(images[:2])
    for one, word in zip(evidence, ("dark", "bright"), strict=True):
        assert word in one.explanation
        assert one.to_dict()["explanation"] == one.explanation
    assert "dark" in REASONS["fake"]
    assert list(evidence[0].to_dict())[-1] == "ms"


@pytest.mark.parametrize(
    ("height", "width"), [(20, 300), (300, 27), (32, 6500)], ids=["flat", "narrow", "a strip"]
)
def test_what_cannot_be_shown_is_an_error_and_the_rest_is_judged(backend, images, height, width):
    strip = Image(np.full((height, width, 3), 99, np.uint8))
    evidence = SemanticBranch(backend).judge([images[0], strip, images[1]])
    assert [one.verdict for one in evidence] == ["fake", None, "real"]
    assert evidence[1].error.code == "too-small"
    assert SemanticBranch(backend).judge([strip])[0].error is not None
    assert SemanticBranch(backend).judge([]) == []


def test_one_image_that_fails_does_not_take_the_batch_along(backend, images, monkeypatch):
    score = backend.vlm.score

    def fails(batch):
        if any(pixels is images[1].pixels for pixels in batch):
            raise RuntimeError("CUDA out of memory\nand a long story")
        return score(batch)

    expected = SemanticBranch(backend).judge(images)
    monkeypatch.setattr(backend.vlm, "score", fails)
    evidence = SemanticBranch(backend).judge(images)
    assert evidence[1].error.message == "the vision-language model failed: CUDA out of memory"
    assert evidence[0].score == pytest.approx(expected[0].score, abs=1e-4)
    assert evidence[2].score == pytest.approx(expected[2].score, abs=1e-4)


def test_no_number_is_no_verdict(backend, images, monkeypatch):
    monkeypatch.setattr(backend.vlm, "score", lambda batch: np.full((len(batch), 2), np.nan))
    (evidence,) = SemanticBranch(backend).judge(images[:1])
    assert (evidence.verdict, evidence.error.code) == (None, "internal")


def test_reasons_that_fail_leave_the_verdict(backend, images, monkeypatch):
    def fails(*_):
        raise RuntimeError("no memory")

    monkeypatch.setattr(backend.vlm, "explain", fails)
    (evidence,) = SemanticBranch(backend, explain=True).judge(images[:1])
    assert evidence.verdict == "fake"
    assert "no memory" in evidence.error.message


def test_reasons_that_come_round_to_the_other_verdict_are_not_shown(backend, images, monkeypatch):
    prompt = backend.prompt
    monkeypatch.setattr(backend.vlm, "explain", lambda *_: f"Odd. {prompt.real} {prompt.fake}")
    (evidence,) = SemanticBranch(backend, explain=True).judge(images[:1])
    assert (evidence.verdict, evidence.explanation) == ("fake", None)
    monkeypatch.setattr(backend.vlm, "explain", lambda *_: f"Odd. {prompt.fake}")
    (evidence,) = SemanticBranch(backend, explain=True).judge(images[:1])
    assert evidence.explanation == f"Odd. {prompt.fake}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Six fingers. The lamp has no", "Six fingers."),
        ("  Six\n\nfingers!  ", "Six fingers!"),
        ('The sign says "OPNE." The rest', 'The sign says "OPNE."'),
        ("a hand of 2.5 fingers", "a hand of 2.5 fingers ..."),
        ("", None),
        (" \n ", None),
        ("The hand is odd. But this IMAGE is real. So", None),
    ],
)
def test_whole_sentences_that_support_the_verdict_are_shown(text, shown):
    assert explanation(text, CONTRARY) == shown


def test_reasons_end_somewhere():
    assert explanation("Odd light. " * 500, CONTRARY) == ("Odd light. " * 54).strip()
    endless = explanation("light " * 500, CONTRARY)
    assert len(endless) <= LONGEST + 4
    assert endless.endswith("light ...")


def test_a_record_without_reasons_is_as_it_was():
    assert "explanation" not in Evidence(verdict="real", score=0.1).to_dict()


def test_what_is_not_installed_is_named(answering, monkeypatch):
    from aligngemini.branches.semantic import loading

    monkeypatch.setattr(loading, "NEEDED", ("torch", "no_such_package"))
    with pytest.raises(ModelError, match=r"needs no_such_package.*aligngemini\[vlm\]"):
        load_semantic(answering)
