import threading
from dataclasses import dataclass, replace

import numpy as np
import pytest
from fixtures.drawn import png, texture
from fixtures.models import brightness_folder

from aligngemini.detector import Detector
from aligngemini.evidence import MILD_CHANGES, Evidence, Problem, Signal, Stability, label_for
from aligngemini.images.decode import decode
from aligngemini.images.deliveries import deliver_image, parse_delivery
from aligngemini.images.item import Image
from aligngemini.images.sources import Item
from aligngemini.report import words
from aligngemini.runner import DetectorOptions, judge_paths
from aligngemini.stability import with_stability


class ByWidth:
    """A branch that a change of size alone moves: so many pixels, so fake."""

    fingerprint = "0"

    def __init__(self, name="pixel", refuses=()):
        self.name = name
        self.refuses = refuses

    def judge(self, images, *, heatmaps=False):
        return [self._judge(image) for image in images]

    def _judge(self, image):
        if image.width in self.refuses:
            return Evidence(error=Problem("internal", "not this one"))
        score = image.width / 1000
        return Evidence(label_for(score, 0.45, 0.37), score, 0.45, 0.37)


class Signed:
    """Provenance that is read from the file."""

    name = "provenance"
    fingerprint = "0"

    def judge(self, images, *, heatmaps=False):
        says = Signal("c2pa", "signed-trusted", "ai", "signed")
        return [
            Evidence("fake" if image.data == b"signed" else None, signals=(says,))
            for image in images
        ]


def widths(image):
    return [parse_delivery(spec)(image.pixels).shape[1] for spec in MILD_CHANGES]


@dataclass(frozen=True)
class Hanging(DetectorOptions):
    """A detector that never comes back from a picture that is 36 pixels wide: 0.9 of 40."""

    def load(self, threads):
        class Branch(ByWidth):
            def _judge(self, image):
                if image.width == 36:
                    threading.Event().wait()
                return super()._judge(image)

        return Detector([Branch()])


IMAGE = Image(texture(100, 400), "PNG", b"", "a.png")


def test_scores_of_all_changes_are_in_the_spread_and_turned_verdicts_are_counted():
    detector = Detector([ByWidth()])
    before = detector.judge(IMAGE)
    verdict = with_stability(detector, IMAGE, before)
    # 0.9 and 1.1 of 400, and 0.95 of it cropped.
    assert sorted(set(widths(IMAGE))) == [360, 380, 400, 440]
    assert verdict.stability == Stability(low=0.36, high=0.44, flips=1, of=8)
    assert verdict.branches["pixel"].stability == verdict.stability
    assert before.verdict == "undecided"
    unmeasured = {name: replace(one, stability=None) for name, one in verdict.branches.items()}
    assert replace(verdict, stability=None, branches=unmeasured) == before


def test_every_branch_has_a_spread_of_its_own_and_one_that_did_not_answer_is_not_counted():
    detector = Detector([ByWidth(), ByWidth("pixel-2", refuses=(360, 440))])
    verdict = with_stability(detector, IMAGE, detector.judge(IMAGE))
    assert verdict.branches["pixel"].stability.of == 8
    assert verdict.branches["pixel-2"].stability == Stability(0.38, 0.4, 0, 6)


def test_a_change_that_cannot_be_judged_is_not_counted():
    small = Image(texture(33, 400), "PNG", b"", "a.png")
    detector = Detector([ByWidth()])
    verdict = with_stability(detector, small, detector.judge(small))
    # 0.9 and 0.95 of 33 are under 32.
    assert verdict.stability == Stability(0.4, 0.44, 0, 6)


def test_what_the_file_says_of_itself_stays():
    image = replace(IMAGE, data=b"signed")
    detector = Detector([ByWidth(), Signed()])
    verdict = with_stability(detector, image, detector.judge(image))
    assert verdict.verdict == "fake"
    assert verdict.stability.flips == 0
    assert verdict.branches["provenance"].stability is None


def test_without_a_verdict_there_is_nothing_to_turn():
    detector = Detector([ByWidth(refuses=(400,))])
    verdict = with_stability(detector, IMAGE, detector.judge(IMAGE))
    assert verdict.stability is None
    assert "stability" not in verdict.to_dict()


def test_a_true_expert_is_measured_as_it_judges(tmp_path):
    folder = brightness_folder(tmp_path / "model")
    path = tmp_path / "a.png"
    path.write_bytes(png(texture(120, 150, seed=3, spread=60)))
    detector = Detector.load(pixel=folder)
    image = decode(path.read_bytes(), path=str(path))
    judged = [detector.judge(deliver_image(image, spec)) for spec in ("as-is", *MILD_CHANGES)]
    scores = [one.score for one in judged]
    assert len(set(scores)) > 3
    expected = Stability(
        low=min(scores),
        high=max(scores),
        flips=sum(one.verdict != judged[0].verdict for one in judged[1:]),
        of=8,
    )
    (one,) = judge_paths(
        [Item(str(path))], DetectorOptions(pixel=(str(folder),)), workers=1, stability=True
    )
    assert one.verdict.stability == expected
    record = one.verdict.to_dict()
    assert record["stability"] == record["branches"]["pixel"]["stability"]
    assert record["stability"] == {
        "low": expected.low,
        "high": expected.high,
        "flips": expected.flips,
        "of": 8,
    }
    assert record["sha256"] == image.sha256


def test_changes_that_take_too_long_are_a_timeout_of_their_image_alone(tmp_path):
    paths = []
    for width in (50, 40, 60):
        paths.append(tmp_path / f"{width}.png")
        paths[-1].write_bytes(png(texture(50, width)))
    items = [Item(str(path)) for path in paths]
    judged = judge_paths(items, Hanging(), workers=1, timeout=3.0, stability=True)
    verdicts = [one.verdict for one in judged]
    codes = [verdict.error and verdict.error.code for verdict in verdicts]
    assert codes == [None, "timeout", None]
    assert [verdict.stability is None for verdict in verdicts] == [False, True, False]


def test_the_semantic_branch_writes_no_reasons_for_the_changes():
    from aligngemini.branches.semantic import SemanticBranch
    from aligngemini.branches.semantic.backend import Answer
    from aligngemini.prompts import Prompt
    from aligngemini.runtimes.semantic_folder import UNMEASURED

    class Backend:
        name, fingerprint = "tiny", "0"
        prompt, calibration = Prompt(), UNMEASURED
        explained = 0

        def answer(self, images):
            return [Answer(log_odds=float(np.mean(image)) - 127) for image in images]

        def explain(self, image, label):
            self.explained += 1
            return " Because."

    backend = Backend()
    detector = Detector([SemanticBranch(backend, explain=True)])
    verdict = with_stability(detector, IMAGE, detector.judge(IMAGE))
    assert verdict.branches["semantic"].stability.of == 8
    assert verdict.branches["semantic"].explanation is not None
    assert backend.explained == 1
    assert detector.branches[0].explain


@pytest.mark.parametrize(
    ("stability", "says"),
    [
        (Stability(0.85, 0.914, 0, 8), "none of 8 mild changes turns the verdict"),
        (Stability(0.2, 0.9, 1, 8), "1 of 8 mild changes turns the verdict; scores from 0.20"),
        (Stability(0.2, 0.9, 3, 8), "3 of 8 mild changes turn the verdict"),
        (Stability(None, None, 2, 3), "2 of 3 mild changes turn the verdict"),
        (Stability(0.2, 0.2, 0, 0), "none of the mild changes could be judged"),
    ],
)
def test_words(stability, says):
    assert words.stability_words(stability).startswith(says)


def test_rounding_does_not_carry_a_score_across_a_threshold():
    said = words.stability_words(Stability(0.5, 0.8996, 0, 8), 0.9)
    assert said.endswith("scores from 0.50 to 0.8996")
