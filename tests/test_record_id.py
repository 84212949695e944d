"""The id of a record: the same for the same, another for anything else."""

import json
from dataclasses import replace

import pytest
from fixtures.drawn import png, texture
from fixtures.models import brightness_folder
from fixtures.signing import authority

from aligngemini.branches.provenance import ProvenanceBranch
from aligngemini.detector import Detector
from aligngemini.evidence import Evidence, Problem, Signal, Stability
from aligngemini.images.item import Image
from aligngemini.record_id import record_id
from aligngemini.verdict import Guarantee, Scope, Verdict

PIXEL = Evidence(verdict="fake", score=0.75, threshold=0.7, threshold_real=0.3, model="p@1", ms=2.0)
FULL = Verdict(
    path="a.jpg",
    sha256="0" * 64,
    width=400,
    height=300,
    format="JPEG",
    verdict="fake",
    score=0.75,
    branches={
        "pixel": PIXEL,
        "semantic": Evidence(skipped="no model"),
        "provenance": Evidence(signals=(Signal("exif", "hint", "ai", "x"),), model="r@1", ms=0.1),
    },
    notes=("first of 2 frames",),
    guarantee=Guarantee("calibration@1", 0.01, 0.95, 300, "photos", "2026-01-01"),
    scope=Scope((), {"flat": 0.25}, rules=1),
)


def pixel(**fields):
    return replace(FULL, branches={**FULL.branches, "pixel": replace(PIXEL, **fields)})


def halves(verdict):
    return verdict.id.split("-")


@pytest.mark.parametrize(
    "same",
    [
        replace(FULL, path="elsewhere/b.jpg"),
        pixel(ms=99.0),
        replace(FULL, branches=dict(reversed(FULL.branches.items()))),
    ],
    ids=["path", "time", "order of branches"],
)
def test_equal_judgements_have_equal_ids(same):
    assert same.id == FULL.id


ASKED = {
    "image": replace(FULL, sha256="1" * 64),
    "pixels": replace(FULL, pixels="2" * 64),
    "size": replace(FULL, width=401),
    "delivery": replace(FULL, notes=("delivered as jpeg:75",)),
    "model": pixel(model="p@2"),
    "rule": replace(FULL, fusion="vote"),
    "fusion file": replace(FULL, fused=Evidence(verdict="fake", score=0.75, model="learned@1")),
    "calibration": replace(FULL, guarantee=replace(FULL.guarantee, name="calibration@2")),
    "no calibration": replace(FULL, guarantee=None),
    "rules of scope": replace(FULL, scope=Scope((), {"flat": 0.25}, rules=2)),
    "branch left out": replace(FULL, branches={"pixel": PIXEL}),
    "trust list": replace(
        FULL,
        branches={
            **FULL.branches,
            "provenance": replace(FULL.branches["provenance"], model="r@2"),
        },
    ),
}
ANSWERED = {
    "verdict": replace(FULL, verdict="real"),
    "score": replace(FULL, score=0.7500001),
    "branch score": pixel(score=0.7500001),
    "branch verdict": pixel(verdict="real"),
    "threshold": pixel(threshold=0.71),
    "remark": pixel(remark="out of scope"),
    "scope": replace(FULL, scope=Scope(("flat",), {"flat": 0.25}, rules=1)),
    "measured": replace(FULL, scope=Scope((), {"flat": 0.26}, rules=1)),
    "stability": replace(FULL, stability=Stability(0.1, 0.9, 1, 8)),
    "error": replace(FULL, error=Problem("timeout", "too slow")),
    "signal": replace(
        FULL, branches={**FULL.branches, "provenance": Evidence(signals=(), model="r@1")}
    ),
}


@pytest.mark.parametrize("other", ASKED.values(), ids=ASKED)
def test_whatever_else_was_asked_gives_another_first_half(other):
    assert halves(other)[0] != halves(FULL)[0]


@pytest.mark.parametrize("other", ANSWERED.values(), ids=ANSWERED)
def test_another_answer_to_the_same_changes_the_second_half_alone(other):
    assert halves(other)[0] == halves(FULL)[0]
    assert halves(other)[1] != halves(FULL)[1]


def test_another_version_of_the_package_is_another_id(monkeypatch):
    before = FULL.id
    monkeypatch.setattr("aligngemini.verdict.__version__", "99.0")
    assert halves(FULL)[0] != before.split("-")[0]


def test_id_outlives_every_way_to_write_json():
    record = FULL.to_dict()
    assert record["id"] == FULL.id == record_id(record)
    for text in (FULL.to_json(), json.dumps(record, indent=2, sort_keys=True)):
        assert record_id(json.loads(text)) == FULL.id
    as_float = {**record, "width": 400.0}
    assert record_id(as_float) == FULL.id


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return brightness_folder(tmp_path_factory.mktemp("model") / "brightness")


def test_ids_of_real_judgements(folder, tmp_path):
    detector = Detector.load(pixel=folder)
    data = png(texture(60, 80))
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(data)
    first, second = detector.judge_batch([tmp_path / "a.png", tmp_path / "b.png"])
    assert first.id == second.id == Detector.load(pixel=folder).judge(data).id
    assert Detector.load(pixel=folder, fusion="vote").judge(data).id != first.id
    other = brightness_folder(tmp_path / "other", threshold=0.71)
    assert halves(Detector.load(pixel=other).judge(data))[0] != halves(first)[0]
    (tmp_path / "b.png").write_bytes(data + b"\0")  # another file, the same picture
    assert halves(detector.judge(tmp_path / "b.png"))[0] != halves(first)[0]


def test_pixels_without_a_file_have_ids_of_their_own(folder):
    detector = Detector.load(pixel=folder)
    one, same, other = detector.judge_batch([texture(60, 80), texture(60, 80), texture(60, 80) + 1])
    assert one.id == same.id != other.id
    assert one.to_dict()["pixels"] == Image(texture(60, 80)).pixels_sha256
    turned = detector.judge(texture(60, 80).reshape(80, 60, 3))
    assert turned.pixels != one.pixels


def test_a_trust_list_shows_in_the_record(tmp_path):
    (tmp_path / "authorities.pem").write_text(authority().root)
    image = [Image(texture(40, 40), data=png(texture(40, 40)))]
    (without,) = ProvenanceBranch().judge(image)
    (with_list,) = ProvenanceBranch(trust=tmp_path / "authorities.pem").judge(image)
    assert without.model == "provenance@rules-1"
    assert with_list.model.startswith("provenance@rules-1+trust-")
