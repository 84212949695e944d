"""A real detector, two tiny ONNX experts, over a few drawn files."""

from collections import deque
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.drawn import png, striped
from fixtures.models import brightness_folder

from aligngemini import Detector
from aligngemini.datasets.journal import read_journals
from aligngemini.datasets.manifest import Row
from aligngemini.evaluation.evaluate import (
    Digests,
    evaluate,
    left_to_judge,
    name_models,
    subset_of,
)
from aligngemini.evaluation.store import FILE, Store
from aligngemini.fusion import FusionError
from aligngemini.images.deliveries import DeliveryError, deliver_image
from aligngemini.images.sources import Item
from aligngemini.isolation import WorkerStartError
from aligngemini.runner import DetectorOptions

PROTOCOLS = ("as-is", "fakes-jpeg96", "all-alike")


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experts")
    experts = {
        "high": {"threshold": 0.98, "threshold_real": 0.9},
        "low": {"threshold": 0.5, "threshold_real": 0.5, "bias": -0.5},
    }
    folders = [str(brightness_folder(folder / name, **of)) for name, of in experts.items()]
    return DetectorOptions(pixel=tuple(folders), gamma="off", device="cpu")


@pytest.fixture
def rows(tmp_path):
    """Four images, a copy, a broken file and one that is not there."""
    files = {
        "a": ("real", png(striped(48, 64, 110))),
        "b": ("real", png(striped(48, 64, 140))),
        "c": ("fake", png(striped(64, 48, 135))),
        "d": ("fake", png(striped(64, 64, 200))),
        "copy": ("fake", png(striped(48, 64, 110))),
        "broken": ("fake", png(striped(48, 64, 90))[:70]),
        "gone": ("real", None),
    }
    found = []
    for name, (label, data) in files.items():
        path = tmp_path / f"{name}.png"
        if data is not None:
            path.write_bytes(data)
        found.append(Row(str(path), label, generator="g" if label == "fake" else ""))
    return found


def judged(out):
    return [(one["sha256"], one["delivery"]) for one in read_journals(out, FILE)]


def test_scores_are_those_of_the_detector_under_each_protocol(tmp_path, options, rows):
    steps = []
    found = evaluate(
        rows, PROTOCOLS, options, tmp_path / "out", workers=1, step=lambda: steps.append(1)
    )
    assert len(steps) == len(rows) * len(PROTOCOLS)
    detector = Detector.load(pixel=options.pixel, gamma="off", device="cpu")
    by_key = {(row.protocol, row.path, row.branch): row for row in found}
    assert len(by_key) == len(found) == len(rows) * len(PROTOCOLS) * 4
    for protocol, delivered in zip(PROTOCOLS, [(), ("fake",), ("real", "fake")], strict=True):
        for row in rows[:5]:
            image = detector.open(row.path)
            if row.label in delivered:
                image = deliver_image(image, "jpeg:96")
            verdict = detector.judge(image)
            fused, half, *branches = (
                by_key[protocol, row.path, branch]
                for branch in ("fused", "or@0.5", "pixel", "pixel-2")
            )
            assert (fused.score, fused.verdict) == (verdict.score, verdict.verdict)
            assert fused.threshold == verdict.deciding.threshold
            for one, evidence in zip(branches, verdict.branches.values(), strict=False):
                assert (one.score, one.verdict) == (evidence.score, evidence.verdict)
                assert (one.threshold, one.model) == (evidence.threshold, evidence.model)
            highest = max(one.score for one in branches)
            assert (half.score, half.threshold) == (highest, 0.5)
            assert half.verdict == ("fake" if highest >= 0.5 else "real")


def test_what_cannot_be_judged_is_a_row_with_the_reason(tmp_path, options, rows):
    found = evaluate(rows, ["as-is"], options, tmp_path / "out", workers=1)
    for name, code in (("broken", "truncated"), ("gone", "not-found")):
        of_file = [row for row in found if Path(row.path).stem == name]
        assert [row.branch for row in of_file] == ["fused", "or@0.5", "pixel", "pixel-2"]
        assert {(row.score, row.verdict, row.error) for row in of_file} == {(None, None, code)}


def test_copies_and_protocols_alike_are_judged_once_and_nothing_twice(tmp_path, options, rows):
    out = tmp_path / "out"
    first = evaluate(rows, PROTOCOLS, options, out, workers=1)
    # Content and delivery: a, b, c, d, the broken file; the copy is a's, delivered as a fake.
    assert len(judged(out)) == len(set(judged(out))) == 2 * 5
    assert evaluate(rows, PROTOCOLS, options, out, workers=1) == first
    moved = [Row(str(Path(row.path).rename(f"{row.path}.moved")), row.label) for row in rows[:4]]
    evaluate(moved, ["as-is", "jpeg:96"], options, out, workers=1)
    assert len(judged(out)) == 2 * 5
    evaluate(moved, ["jpeg:50"], options, out, workers=1)
    assert len(judged(out)) == 2 * 5 + 4


def test_copies_are_handed_out_once_even_before_the_first_is_judged(tmp_path, rows):
    asked = deque()
    again = [rows[0], rows[4], replace(rows[4], label="real"), rows[0]]
    with Store(tmp_path / "out", "one") as store:
        items = left_to_judge(
            again, PROTOCOLS, store=store, digests=Digests(), asked=asked, step=lambda: None
        )
        found = [(item.path, item.delivery) for item in items]
    assert found == [(rows[0].path, None), (rows[0].path, "jpeg:96")]
    assert [delivery for _, delivery in asked] == [None, "jpeg:96"]


def test_another_detector_in_the_same_folder_judges_anew(tmp_path, options, rows):
    out = tmp_path / "out"
    both = evaluate(rows[:2], ["as-is"], options, out, workers=1)
    alone = DetectorOptions(pixel=options.pixel[:1], gamma="off", device="cpu")
    found = evaluate(rows[:2], ["as-is"], alone, out, workers=1)
    assert [row.branch for row in found] == ["fused", "pixel"] * 2
    assert found[1] == both[2]
    assert len(judged(out)) == 4


def test_a_file_that_changes_while_it_is_judged_gets_no_other_ones_score(
    tmp_path, options, rows, monkeypatch
):
    def swapped(path, *, delivery):
        Path(path).write_bytes(png(striped(48, 64, 250)))
        return Item(path, delivery=delivery)

    monkeypatch.setattr("aligngemini.evaluation.evaluate.Item", swapped)
    found = evaluate(rows[:1], ["as-is"], options, tmp_path / "out", workers=1)
    assert {(row.score, row.error) for row in found} == {(None, "unreadable")}
    assert judged(tmp_path / "out") == []


def test_models_are_named_with_their_fingerprints(options):
    detector = Detector.load(pixel=options.pixel, gamma="off", device="cpu")
    models = name_models(options)
    prints = [branch.fingerprint for branch in detector.branches[:2]]
    assert models["pixel"] == f"high@{prints[0]}"
    assert models["pixel-2"] == f"low@{prints[1]}"
    for name in ("fused", "or@0.5"):
        assert all(one in models[name] for one in prints)
    assert models["fused"].startswith("or of ")


def test_only_the_rule_or_has_a_reading_at_a_half(options):
    weighted = DetectorOptions(pixel=options.pixel, gamma="off", fusion="weighted")
    assert list(name_models(weighted)) == ["fused", "pixel", "pixel-2"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pixel": ("off",)}, FusionError, "no branch of this detector gives a score"),
        ({"pixel": ("no-such-model",)}, WorkerStartError, "no-such-model"),
        ({"cascade": True}, ValueError, "a cascade leaves branches out"),
    ],
)
def test_a_detector_that_cannot_be_measured_is_refused(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        evaluate([], ["as-is"], DetectorOptions(gamma="off", **options), tmp_path)


def test_a_protocol_that_is_none_is_refused_before_anything_is_judged(tmp_path, options, rows):
    with pytest.raises(DeliveryError, match="no protocol 'as-it'"):
        evaluate(rows, ["as-is", "as-it"], options, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("row", "subset"),
    [
        (Row("a", "fake", "sd", extra={"subset": "sdxl"}), "sdxl"),
        (Row("a", "fake", "sd"), "sd"),
        (Row("a", "real"), "*"),
    ],
)
def test_the_subset_of_an_image(row, subset):
    assert subset_of(row) == subset
