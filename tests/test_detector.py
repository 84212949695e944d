"""From any kind of input to one verdict each, in order."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from fixtures.drawn import png, striped, texture
from fixtures.models import CALIBRATION, brightness_folder
from PIL import Image as PILImage

from aligngemini import Detector
from aligngemini.evidence import Evidence
from aligngemini.images.decode import Limits, decode
from aligngemini.images.item import Image
from aligngemini.runtimes.folder import ModelError


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return brightness_folder(tmp_path_factory.mktemp("models") / "brightness")


@pytest.fixture(scope="module")
def detector(folder) -> Detector:
    return Detector.load(pixel=folder, device="cpu", threads=1)


class Says:
    """A branch with one answer for everything."""

    fingerprint = "f00d"

    def __init__(self, name, evidence):
        self.name = name
        self.evidence = evidence

    def judge(self, images, *, heatmaps=False):
        return [self.evidence for _ in images]


def test_every_kind_of_input_gets_the_same_score(detector, tmp_path):
    pixels = texture(70, 90)
    path = tmp_path / "drawn.png"
    path.write_bytes(png(pixels))
    inputs = [
        path,
        str(path),
        path.read_bytes(),
        bytearray(path.read_bytes()),
        memoryview(path.read_bytes()),
        PILImage.open(path),
        PILImage.fromarray(pixels),
        pixels,
        np.asfortranarray(pixels),
        Image(pixels),
        decode(path.read_bytes()),
    ]
    verdicts = detector.judge_batch(inputs)
    assert len({verdict.score for verdict in verdicts}) == 1
    assert {(v.width, v.height) for v in verdicts} == {(90, 70)}
    assert {v.error for v in verdicts} == {None}
    assert 0 < verdicts[0].score < 1


def test_path_is_kept_as_the_user_named_it(detector, tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(png(striped(40, 40, 9)))
    monkeypatch.chdir(tmp_path)
    named = ["a.png", "./a.png", Path("a.png"), str(tmp_path / "a.png")]
    assert [v.path for v in detector.judge_batch(named)] == [str(name) for name in named]
    assert detector.judge((tmp_path / "a.png").read_bytes()).path == ""


def test_sha256_is_that_of_the_file(detector, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(striped(40, 40, 9)))
    broken = path.read_bytes()[:40]
    verdicts = detector.judge_batch(
        [path, path.read_bytes(), broken, striped(40, 40, 9), "gone.png"]
    )
    whole = hashlib.sha256(path.read_bytes()).hexdigest()
    assert [v.sha256 for v in verdicts] == [
        whole,
        whole,
        hashlib.sha256(broken).hexdigest(),
        None,
        None,
    ]
    assert verdicts[2].error is not None


def test_order_is_the_inputs_order_and_what_fails_is_a_record(detector, tmp_path):
    gone = tmp_path / "gone.png"
    verdicts = detector.judge_batch(
        [
            striped(40, 40, 250),
            gone,
            b"no image at all",
            striped(40, 40, 5),
            b"",
            striped(9, 9, 250),
        ]
    )
    assert [v.verdict for v in verdicts] == ["fake", None, None, "real", None, None]
    codes = [v.error and v.error.code for v in verdicts]
    assert codes == [None, "not-found", "unsupported", None, "empty", "too-small"]
    assert verdicts[1].path == str(gone)
    for verdict in verdicts:
        assert json.loads(verdict.to_json())["verdict"] == verdict.verdict


def test_nothing_gives_nothing(detector):
    assert detector.judge_batch([]) == []


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((40, 40, 3), np.float32),
        np.zeros((40, 40, 5), np.uint8),
        np.zeros((3, 40, 40), np.uint8),
        np.zeros((1, 40, 40, 3), np.uint8),
        np.zeros((40, 40), np.int64),
    ],
    ids=lambda array: f"{array.shape} {array.dtype}",
)
def test_array_that_is_no_image_costs_the_others_nothing(detector, array):
    bad, good = detector.judge_batch([array, striped(40, 40, 5)])
    assert (bad.error.code, bad.verdict) == ("unsupported", None)
    assert str(array.shape) in bad.error.message
    assert str(array.dtype) in bad.error.message
    assert good.verdict == "real"


def test_limits_are_held(folder):
    strict = Detector.load(pixel=folder, limits=Limits(max_pixels=50 * 50))
    verdicts = strict.judge_batch([striped(50, 50, 5), striped(50, 51, 5), png(striped(51, 50, 5))])
    assert [v.error and v.error.code for v in verdicts] == [None, "too-large", "too-large"]


def test_record_of_a_judged_image(detector, folder):
    verdict = detector.judge(striped(40, 48, 250))
    record = verdict.to_dict()
    assert list(record["branches"]) == ["pixel", "semantic", "provenance"]
    assert record["branches"]["semantic"] == {"skipped": "no vision-language model configured"}
    assert record["branches"]["provenance"]["signals"] == []
    pixel = record["branches"]["pixel"]
    assert list(pixel) == [
        *("score", "verdict", "threshold", "threshold_real", "false_alarm_rate", "model", "ms")
    ]
    assert (pixel["threshold"], pixel["threshold_real"]) == (0.7, 0.3)
    assert pixel["false_alarm_rate"] == CALIBRATION["false_alarm_rate"]
    assert pixel["model"].startswith("brightness@")
    assert record["fusion"] == "or"
    assert record["score"] == pixel["score"]


def test_pixel_branch_switched_off_is_said(tmp_path):
    verdict = Detector.load(pixel="off").judge(striped(40, 40, 250))
    assert verdict.to_dict()["branches"]["pixel"] == {"skipped": "switched off"}
    assert (verdict.verdict, verdict.score, verdict.error) == (None, None, None)


def test_heatmaps_only_where_asked(detector):
    without, asked = (detector.judge(texture(64, 64), heatmaps=h) for h in (False, True))
    assert without.branches["pixel"].heatmap is None
    assert asked.branches["pixel"].heatmap.shape == (8, 8)
    assert asked.score == without.score


def test_branches_are_fused():
    branches = [
        Says("pixel", Evidence(verdict="real", score=0.1)),
        Says("provenance", Evidence(verdict="fake", signals=())),
    ]
    verdict = Detector(branches).judge(striped(40, 40, 5))
    assert (verdict.verdict, verdict.score) == ("fake", 0.1)


def test_model_that_gives_no_number_gives_no_verdict(tmp_path):
    nothing = brightness_folder(tmp_path / "nan", gain=math.nan)
    verdict = Detector.load(pixel=nothing).judge(striped(40, 40, 5))
    assert (verdict.verdict, verdict.score) == (None, None)
    assert verdict.branches["pixel"].error.code == "internal"
    assert "nan" in verdict.to_json()


def test_unknown_fusion_is_refused(folder):
    with pytest.raises(ValueError, match=r"'xor'.*known: or"):
        Detector.load(pixel=folder, fusion="xor")
    with pytest.raises(ValueError, match="'xor'"):
        Detector([], fusion="xor")


def test_unknown_device_is_refused(folder):
    with pytest.raises(ModelError, match=r"'tpu'.*auto, cpu, cuda"):
        Detector.load(pixel=folder, device="tpu")


def test_unknown_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere.*compact"):
        Detector.load(pixel=tmp_path / "nowhere")


def test_damaged_model_is_refused(tmp_path):
    folder = brightness_folder(tmp_path / "model")
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelError, match=r"model\.onnx does not match"):
        Detector.load(pixel=folder)


def test_several_experts_are_shown_alone_and_joined_by_or(tmp_path):
    eager = brightness_folder(tmp_path / "eager", threshold=0.5, threshold_real=0.5)
    strict = brightness_folder(tmp_path / "strict", threshold=0.98, threshold_real=0.98)
    detector = Detector.load(pixel=[strict, eager], device="cpu", threads=1)
    verdict = detector.judge(striped(40, 40, 135))
    assert list(verdict.branches) == ["pixel", "pixel-2", "semantic", "provenance"]
    assert verdict.branches["pixel"].verdict == "real"
    assert verdict.branches["pixel"].model.startswith("strict@")
    assert verdict.branches["pixel-2"].verdict == verdict.verdict == "fake"
    assert verdict.branches["pixel-2"].model.startswith("eager@")
    assert json.loads(verdict.to_json())["branches"]["pixel-2"]["verdict"] == "fake"
