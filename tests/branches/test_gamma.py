"""The GAMMA branch: planted regions are found where they were planted, at every size."""

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures.backbones import expert_folder
from fixtures.drawn import texture
from fixtures.gammas import CALIBRATION, TILES, colour_folder, gamma_folder, small_gamma
from fixtures.models import brightness_folder

from aligngemini import Detector
from aligngemini.branches.gamma import GammaBranch, pooled, tiling
from aligngemini.branches.loading import load_folder
from aligngemini.branches.pixel import PixelBranch
from aligngemini.images.item import Image
from aligngemini.runtimes.folder import ModelError, open_folder
from aligngemini.runtimes.opening import open_runtime
from aligngemini.runtimes.preprocess import Tiles, preprocess_from, preprocess_to
from aligngemini.settings import SettingsError

SIZES = [(260, 300), (257, 1001), (3000, 4000), (50, 41), (1000, 70)]
RED, GREEN = 0, 1


@pytest.fixture(scope="module")
def branch(tmp_path_factory):
    tiles = replace(TILES, tile_size=256, overlap=64)
    folder = colour_folder(tmp_path_factory.mktemp("m") / "colours", tiles=tiles)
    return GammaBranch.load(folder, threads=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Random weights on PyTorch."""
    return GammaBranch.load(gamma_folder(tmp_path_factory.mktemp("m") / "tiny"), device="cpu")


def dark(height, width):
    """No colour that the branch marks."""
    piece = texture(100, 100) // 4
    return np.tile(piece, (-(-height // 100), -(-width // 100), 1))[:height, :width]


def plant(pixels, box, channel):
    left, top, right, bottom = box
    pixels[top:bottom, left:right, channel] = 250
    return pixels


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize(("channel", "name"), [(RED, "generated"), (GREEN, "moved")])
def test_a_planted_region_is_found_where_it_was_planted(branch, height, width, channel, name):
    box = (width // 2, height // 3, width // 2 + max(16, width // 5), height // 3 + height // 4)
    pixels = plant(dark(height, width), box, channel)
    (evidence,) = branch.judge([Image(pixels)], heatmaps=True)
    other = {"generated": "moved", "moved": "generated"}[name]
    assert evidence.areas[other].share == 0
    area = evidence.areas[name]
    assert len(area.boxes) == 1
    assert all(abs(a - b) <= 4 for a, b in zip(area.boxes[0], box, strict=True))
    assert area.share == pytest.approx(
        (box[2] - box[0]) * (box[3] - box[1]) / (height * width), rel=0.5 if width < 64 else 0.15
    )
    assert (evidence.verdict, evidence.detail) == ("fake", "edited")
    seen = evidence.maps[name]
    assert seen.shape == (-(-height // 4), -(-width // 4))
    assert seen[(box[1] + 8) // 4, (box[0] + 8) // 4] > 0.99
    assert np.array_equal(evidence.heatmap, np.maximum(*evidence.maps.values()))


def test_several_regions_and_the_whole_image(branch):
    pixels = plant(plant(dark(300, 400), (40, 40, 120, 100), RED), (200, 160, 240, 260), GREEN)
    (evidence,) = branch.judge([Image(pixels)])
    boxes = {name: area.boxes for name, area in evidence.areas.items()}
    assert boxes == {"generated": ((40, 40, 120, 100),), "moved": ((200, 160, 240, 260),)}
    assert (evidence.heatmap, evidence.maps) == (None, None)
    whole = plant(dark(300, 400), (0, 0, 400, 300), RED)
    (evidence,) = branch.judge([Image(whole)])
    assert (evidence.areas["generated"].share, evidence.detail) == (1, None)
    assert evidence.verdict == "fake"


def test_untouched_is_real_and_has_no_detail(branch):
    (evidence,) = branch.judge([Image(dark(200, 200))])
    assert (evidence.verdict, evidence.detail, evidence.coverage) == ("real", None, None)
    assert [area.boxes for area in evidence.areas.values()] == [(), ()]
    assert "detail" not in evidence.to_dict()


def test_a_shift_of_the_image_shifts_the_map(branch):
    pixels = texture(400, 520, seed=3)
    before, after = (
        branch.look(one).maps for one in (pixels, np.roll(pixels, (16, 24), axis=(0, 1)))
    )
    for name, values in before.items():
        assert np.ptp(values) > 0.9
        assert after[name] == pytest.approx(np.roll(values, (4, 6), axis=(0, 1)), abs=1e-5)


def test_one_tile_is_what_the_network_says_of_it(trained):
    pixels = texture(64, 64)
    with torch.no_grad():
        output = small_gamma()(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)
    look = trained.look(pixels)
    assert look.logit == pytest.approx(output.logits.item(), abs=1e-5)
    for name, values in look.maps.items():
        expected = getattr(output, name)[0].sigmoid()
        assert values == pytest.approx(expected.numpy(), abs=1e-5)


def test_the_image_has_the_highest_logits_of_its_tiles(tmp_path):
    pixels = plant(dark(64, 64 * 4), (0, 0, 64, 64), RED)
    for share, expected in ((0.0, 250), (0.25, 250), (0.5, None), (1.0, None)):
        tiles = replace(TILES, overlap=0, top_share=share)
        branch = GammaBranch.load(colour_folder(tmp_path / f"{share}", tiles=tiles))
        singly = sorted(branch.look(pixels[:, 64 * k : 64 * (k + 1)]).logit for k in range(4))
        logit = branch.look(pixels).logit
        assert logit == pytest.approx(np.mean(singly[-max(1, int(4 * share)) :]))
        if expected:
            assert logit == pytest.approx((expected - 127.5) / 4, abs=1e-4)


def test_pooling_never_hides_what_is_no_number():
    assert pooled([1.0, 3.0, 2.0], 0) == 3
    assert pooled([1.0, 3.0, 2.0], 0.34) == 2.5
    assert np.isnan(pooled([1.0, float("nan"), 2.0], 0))


def test_a_large_image_is_sampled_and_the_record_says_so(tmp_path):
    folder = colour_folder(tmp_path / "m", tiles=replace(TILES, max_tiles=4))
    (evidence,) = GammaBranch.load(folder).judge([Image(dark(400, 400))], heatmaps=True)
    assert evidence.coverage == pytest.approx(4 * 64 * 64 / 400**2, rel=0.05)
    assert evidence.to_dict()["coverage"] == evidence.coverage
    assert evidence.verdict == "real"  # the score counts all the same


def test_memory_does_not_grow_with_the_image(tmp_path, monkeypatch):
    monkeypatch.setattr(tiling, "MAX_CELLS", 60 * 60)
    branch = GammaBranch.load(colour_folder(tmp_path / "m"), threads=1)
    peaks = []
    for side in (240, 1200):
        pixels = dark(side, side)
        branch.look(pixels)
        tracemalloc.start()
        branch.look(pixels)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]  # of 25 times the pixels


def test_a_drawing_is_undecided_and_nothing_more_is_said(branch):
    flat = np.zeros((90, 90, 3), np.uint8)
    flat[20:60, 20:60, 0] = 250
    (evidence,) = branch.judge([Image(flat)])
    assert (evidence.verdict, evidence.detail) == ("undecided", None)
    assert "flat colour" in evidence.remark


class Spoiled:
    """An engine one of whose numbers is none."""

    device = "cpu"

    def __init__(self, runtime, name):
        self.runtime, self.name, self.inputs = runtime, name, runtime.inputs

    def run(self, **inputs):
        outputs = self.runtime.run(**inputs)
        outputs[self.name] = outputs[self.name].copy()
        outputs[self.name].flat[0] = np.nan
        return outputs


@pytest.mark.parametrize("name", ["logit", "generated", "moved"])
def test_what_is_no_number_is_no_verdict(branch, name):
    spoiled = GammaBranch(branch.folder, Spoiled(branch.runtime, name))
    (evidence,) = spoiled.judge([Image(dark(200, 200))])
    assert (evidence.verdict, evidence.error.code) == (None, "internal")
    json.dumps(evidence.to_dict(), allow_nan=False)


def test_a_folder_is_loaded_as_what_it_is(tmp_path):
    folders = (colour_folder(tmp_path / "gamma"), brightness_folder(tmp_path / "pixel"))
    assert [load_folder(folder).name for folder in folders] == ["gamma", "pixel"]


@pytest.mark.parametrize("make", [brightness_folder, expert_folder])
def test_a_pixel_expert_is_no_gamma_model_and_the_other_way_round(tmp_path, make):
    with pytest.raises(ModelError, match="use it with --pixel"):
        GammaBranch.load(make(tmp_path / "expert"), device="cpu")
    with pytest.raises(ModelError, match="use it with --gamma"):
        PixelBranch.load(colour_folder(tmp_path / "gamma"))


def test_weights_of_other_tiles_are_refused(tmp_path):
    folder = open_folder(colour_folder(tmp_path / "m"))
    other = replace(folder, preprocess=replace(TILES, tile_size=32))
    with pytest.raises(ModelError, match="not of one model"):
        GammaBranch(other, open_runtime(folder))
    finer = replace(folder, preprocess=replace(TILES, map_stride=2))
    with pytest.raises(ModelError, match=r"maps of \(16, 16\).*says 32 x 32"):
        GammaBranch(finer, open_runtime(folder)).judge([Image(dark(64, 64))])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"map_stride": 5}, "no multiple of map_stride"),
        ({"map_stride": 0}, "no multiple of map_stride"),
        ({"overlap": 6}, "overlap 6 must be a multiple"),
        ({"overlap": 36}, "at most half of tile_size"),
        ({"overlap": -4}, "overlap -4"),
        ({"max_tiles": 0}, "max_tiles must be 1"),
        ({"top_share": 1.5}, "top_share lie in"),
        ({"std": (1.0, 0.0, 1.0)}, "those of std above 0"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(SettingsError, match=message):
        replace(TILES, **settings)


def test_settings_survive_their_file():
    tiles = Tiles(96, 8, 24, 100, 0.2, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    assert preprocess_from(json.loads(json.dumps(preprocess_to(tiles)))) == tiles


def test_detector_joins_gamma_as_a_third_branch(tmp_path):
    model, pixel = colour_folder(tmp_path / "gamma"), brightness_folder(tmp_path / "pixel")
    detector = Detector.load(pixel=pixel, gamma=model, device="cpu", threads=1)
    verdict = detector.judge(plant(dark(200, 200), (40, 40, 100, 100), RED))
    assert list(verdict.branches) == ["pixel", "semantic", "gamma", "provenance"]
    assert (verdict.branches["pixel"].verdict, verdict.branches["gamma"].verdict) == (
        "real",
        "fake",
    )
    assert (verdict.verdict, verdict.score) == ("fake", verdict.branches["gamma"].score)
    record = json.loads(verdict.to_json())["branches"]["gamma"]
    assert list(record) == [
        *("score", "verdict", "detail", "threshold", "threshold_real", "false_alarm_rate"),
        *("model", "areas", "ms"),
    ]
    assert record["areas"] == {
        "generated": {"share": 0.09, "boxes": [[40, 40, 100, 100]]},
        "moved": {"share": 0.0, "boxes": []},
    }
    assert record["threshold"] == CALIBRATION.threshold
    assert "gamma" not in Detector.load(pixel=pixel).judge(dark(64, 64)).branches


def test_other_rules_know_the_third_branch(tmp_path):
    model, pixel = colour_folder(tmp_path / "gamma"), brightness_folder(tmp_path / "pixel")
    pixels = plant(dark(200, 200), (40, 40, 100, 100), RED)
    verdicts = {
        rule: Detector.load(pixel=pixel, gamma=model, fusion=rule, device="cpu").judge(pixels)
        for rule in ("vote", "weighted")
    }
    assert verdicts["vote"].verdict == "undecided"  # one against one
    assert verdicts["weighted"].fused.threshold is not None
