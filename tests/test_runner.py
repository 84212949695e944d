import hashlib
import itertools
import os
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from PIL import Image as PILImage

from aligngemini.cores import usable_cores
from aligngemini.detector import Detector
from aligngemini.evidence import Evidence, Problem, label_for
from aligngemini.images.sources import Item
from aligngemini.isolation import WorkerStartError
from aligngemini.report.drawing import overlay_name
from aligngemini.runner import DetectorOptions, judge_paths
from aligngemini.verdict import Verdict


class Brightness:
    """A branch of a few lines: the brighter, the more fake. Colours make it misbehave."""

    name = "pixel"
    fingerprint = "0"

    def judge(self, images, *, heatmaps=False):
        return [self._judge(image, heatmaps) for image in images]

    def _judge(self, image, heatmaps):
        match image.pixels[0, 0].tolist():
            case [255, 0, 0]:
                os._exit(7)
            case [0, 255, 0]:
                raise RuntimeError("green is too much for me")
            case [0, 0, 255]:
                return Evidence(verdict="fake", score=float("nan"), threshold=0.7)
        score = float(image.pixels.mean()) / 255
        grid = image.pixels[::16, ::16, 0].astype(np.float32) / 255
        return Evidence(
            verdict=label_for(score, 0.7, 0.3),
            score=score,
            threshold=0.7,
            threshold_real=0.3,
            heatmap=grid if heatmaps else None,
        )


@dataclass(frozen=True)
class Options(DetectorOptions):
    broken: bool = field(default=False)

    def load(self, threads):
        if self.broken:
            raise FileNotFoundError("no weights")
        return Detector([Brightness()])


@pytest.fixture
def draw(tmp_path):
    """Writes an image of one colour and gives its path."""

    def draw(name, colour, size=(64, 48)):
        path = tmp_path / name
        PILImage.new("RGB", size, colour).save(path)
        return str(path)

    return draw


def judge(*items, **settings):
    items = [item if isinstance(item, Item) else Item(item) for item in items]
    return list(judge_paths(items, Options(), **{"workers": 1, "timeout": 30.0, **settings}))


def test_every_input_gives_its_verdict_in_order(draw):
    paths = [draw(f"{k}.png", (20 * k,) * 3) for k in range(12)]
    verdicts = [judged.verdict for judged in judge(*paths, workers=2)]
    assert [verdict.path for verdict in verdicts] == paths
    assert [verdict.score for verdict in verdicts] == [20 * k / 255 for k in range(12)]
    assert {verdict.verdict for verdict in verdicts} == {"real", "undecided", "fake"}


def test_what_cannot_be_judged_is_in_the_output_between_the_others(draw, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no more")
    problem = Problem("not-found", "no file matches this pattern")
    items = [
        draw("a.png", (0, 0, 0)),
        draw("dies.png", (255, 0, 0)),
        Item("*.gif", problem),
        draw("raises.png", (0, 255, 0)),
        str(broken),
        str(tmp_path / "missing.png"),
        draw("nan.png", (0, 0, 255)),
        draw("b.png", (255, 255, 255)),
    ]
    verdicts = [judged.verdict for judged in judge(*items)]
    assert [v.path for v in verdicts] == [getattr(item, "path", item) for item in items]
    assert [v.verdict for v in verdicts] == ["real", *[None] * 6, "fake"]
    codes = [v.error.code for v in verdicts[1:7]]
    assert codes[:3] == ["crashed", "not-found", "internal"]
    assert codes[3] in {"corrupt", "truncated"}
    assert codes[4:] == ["not-found", "internal"]
    assert verdicts[2].error == problem
    assert "green is too much for me" in verdicts[3].error.message
    for verdict in verdicts:
        verdict.to_json()


def test_previews_and_heatmaps_come_only_when_asked_for(draw):
    path = draw("a.png", (200, 200, 200))
    (plain,) = judge(path)
    assert (plain.preview, plain.heatmap) == (None, None)
    (full,) = judge(path, previews=True, heatmaps=True)
    assert full.preview.startswith(b"\xff\xd8")
    assert full.heatmap.shape == (3, 4)
    assert full.heatmap == pytest.approx(200 / 255)


def test_verdicts_travel_without_their_heatmaps(draw, tmp_path):
    (judged,) = judge(draw("a.png", (9, 9, 9)), heatmaps=True, heatmap_dir=tmp_path)
    assert judged.verdict.branches["pixel"].heatmap is None


def test_overlays_of_images_with_one_name_do_not_meet(draw, tmp_path):
    folder = tmp_path / "maps"
    folder.mkdir()
    (tmp_path / "b").mkdir()
    paths = [draw("same.png", (200, 200, 200)), draw("b/same.png", (210, 210, 210))]
    verdicts = [judged.verdict for judged in judge(*paths, paths[0], heatmap_dir=folder)]
    names = {f"same.{verdict.sha256[:8]}.png" for verdict in verdicts}
    assert {path.name for path in folder.iterdir()} == names
    assert len(names) == 2
    with PILImage.open(folder / names.pop()) as overlay:
        assert overlay.size == (64, 48)


def test_a_verdict_outlives_its_overlay(draw, tmp_path):
    (judged,) = judge(draw("a.png", (200, 200, 200)), heatmap_dir=tmp_path / "missing")
    assert judged.verdict.verdict == "fake"
    assert "heatmap not written" in judged.verdict.notes[-1]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/photo.one.jpg", "photo.one.abcdef01.png"),
        ("näch (2).jpg", "näch (2).abcdef01.png"),
        ("a\nb/c\x1b[1m\udcff.png", "c__1m_.abcdef01.png"),
        ("-rf.png", "-rf.abcdef01.png"),
        ("", ".abcdef01.png"),
    ],
)
def test_overlays_are_named_after_their_images(path, name):
    assert overlay_name(Verdict(path, sha256="abcdef0123456789")) == name


def test_overlay_names_fit_into_every_file_system():
    name = overlay_name(Verdict("\U0001f600漢" * 200 + ".jpg", sha256="ab" * 32))
    assert len(name.encode()) <= 255


def test_a_detector_that_does_not_load_is_one_error(draw):
    judged = judge_paths([Item(draw("a.png", 0))] * 3, Options(broken=True), workers=2)
    with pytest.raises(WorkerStartError, match="no weights"):
        list(judged)


def test_inputs_may_go_on_for_ever(draw):
    judged = judge_paths(itertools.repeat(Item(draw("a.png", 0))), Options(), workers=2)
    assert len(list(itertools.islice(judged, 50))) == 50
    judged.close()


def test_the_cpus_counted_are_those_this_process_may_use():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system does not pin processes")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_a_delivery_happens_before_the_judging(draw, tmp_path):
    PILImage.fromarray(np.tile(np.uint8([0, 255]), (64, 96))[..., None].repeat(3, 2)).save(
        tmp_path / "stripes.png"
    )
    path = str(tmp_path / "stripes.png")
    plain, as_is, half, dark, small = (
        one.verdict
        for one in judge(
            Item(path),
            Item(path, delivery="as-is"),
            Item(path, delivery="crop:0.5"),
            Item(draw("dark.png", (9, 9, 9)), delivery="jpeg:90"),
            Item(path, delivery="scale:0.1"),
        )
    )
    assert replace(as_is, branches={}) == replace(plain, branches={})
    digest = hashlib.sha256((tmp_path / "stripes.png").read_bytes()).hexdigest()
    assert {one.sha256 for one in (plain, as_is, half, small)} == {digest}
    assert (half.width, half.height) == (96, 32)
    assert half.notes == ("delivered as crop:0.5",)
    assert dark.score == pytest.approx(9 / 255)
    assert small.error.code == "too-small"
    assert small.verdict is None
