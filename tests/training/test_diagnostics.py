"""Failure signatures: each check's number, and experts trained to show one."""

import dataclasses
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from fixtures.drawn import png, texture
from fixtures.manipulated import write_set as write_manipulated
from fixtures.pairs import expert_recipe, rebuilt, write_pairs
from fixtures.rules import newborn, write_world
from fixtures.training import write_set
from PIL import Image
from scipy.stats import beta
from sklearn.metrics import roc_auc_score

from aligngemini.branches.gamma import GammaBranch
from aligngemini.branches.semantic.local import LocalBackend
from aligngemini.datasets.manifest import Row, read_manifest, write_manifest
from aligngemini.datasets.manipulation_set import read_manipulation_set
from aligngemini.datasets.pair_settings import Alignment
from aligngemini.evaluation.predictions import Prediction
from aligngemini.evaluation.regions import measure_images
from aligngemini.evidence import calibrated
from aligngemini.runtimes.folder import Calibration, find_folder, open_folder
from aligngemini.runtimes.semantic_folder import open_semantic_folder
from aligngemini.training.diagnose import diagnose_compact, diagnose_gamma, diagnose_semantic
from aligngemini.training.diagnostics import (
    HELD_OUT,
    LOOK,
    NOT_MEASURED,
    OK,
    TRAINED_ON,
    UNSEEN,
    Check,
    Scored,
    Scores,
    run_checks,
)
from aligngemini.training.expert_build import build_expert
from aligngemini.training.findings import diagnose, read_diagnosis
from aligngemini.training.probing import MOST, probes_of_files, spread_out
from aligngemini.training.semantic_data import open_preferences
from aligngemini.training.signatures import PIXEL, SEMANTIC

GAP = "lost beyond the training images"
FORMAT = "lost once both classes have one format"
UNSEEN_LOSS = "lost on unseen generators"
ALARMS = "photos called fake"
ONE_SIDED = "one answer for everything"
DELIVERED = "photos called fake once compressed or resized"


def many(group, label, middle, count=40, *, delivery="as is", seed=0, **others):
    """Scores around a middle."""
    rng = np.random.default_rng([seed, len(group), len(label), len(delivery)])
    values = 1 / (1 + np.exp(-rng.normal(middle, 1, count)))
    return [Scored(group, label, delivery, float(value), **others) for value in values]


def world(**middles):
    """A good expert's scores, but for what is named `group_label_delivery`."""
    found = []
    for group, label, usual in (
        (TRAINED_ON, "real", -3),
        (TRAINED_ON, "fake", 3),
        (HELD_OUT, "real", -3),
        (HELD_OUT, "fake", 3),
        (UNSEEN, "fake", 3),
    ):
        for delivery in ("as is",) if group == TRAINED_ON else ("as is", "JPEG 90", "half size"):
            name = "_".join((group.split()[-1], label, delivery.split()[0])).lower()
            found += many(group, label, middles.get(name, usual), delivery=delivery)
    return found


def findings(scored, checks=PIXEL, threshold=0.5):
    return {one.name: one for one in run_checks(checks, Scores(scored, threshold))}


def test_nothing_to_see_in_a_good_expert():
    found = findings(world())
    assert {one.verdict for one in found.values()} == {OK}
    assert all(one.low <= one.value <= one.high for one in found.values())
    assert not any(one.note for one in found.values())


@pytest.mark.parametrize(
    ("middles", "signatures"),
    [
        ({"out_real_as": -1}, {ALARMS}),
        ({"out_real_half": 0}, {DELIVERED}),
        ({"generators_fake_jpeg": -2}, {UNSEEN_LOSS, FORMAT}),
        ({"out_fake_jpeg": -3, "generators_fake_jpeg": -3}, {FORMAT}),
        ({"out_fake_as": -2, "out_fake_jpeg": -2, "generators_fake_jpeg": -1.5}, {GAP}),
    ],
)
def test_each_signature_has_its_line(middles, signatures):
    found = findings(world(**middles))
    assert {name for name, one in found.items() if one.verdict == LOOK} == signatures
    assert all(found[name].note for name in signatures)


@pytest.mark.parametrize("everything", [-9.0, 9.0])
def test_one_answer_for_everything(everything):
    scored = [dataclasses.replace(one, score=0.5 + everything / 20) for one in world()]
    assert findings(scored)[ONE_SIDED].verdict == LOOK
    assert findings(scored)[ONE_SIDED].value == 1.0


def test_numbers_are_those_of_scipy_and_scikit_learn():
    scored = many(HELD_OUT, "real", -1.5, 50) + many(HELD_OUT, "fake", 0.5, 30)
    scored += many(TRAINED_ON, "real", -2, 30) + many(TRAINED_ON, "fake", 2, 20)
    found = findings(scored, threshold=0.4)
    photos = [one.score for one in scored if (one.group, one.label) == (HELD_OUT, "real")]
    count = sum(score >= 0.4 for score in photos)
    assert found[ALARMS].value == count / 50
    assert found[ALARMS].low == pytest.approx(beta.ppf(0.025, count, 51 - count))
    assert found[ALARMS].high == pytest.approx(beta.ppf(0.975, count + 1, 50 - count))
    areas = {}
    for group in (TRAINED_ON, HELD_OUT):
        part = [one for one in scored if one.group == group]
        areas[group] = roc_auc_score([o.label == "fake" for o in part], [o.score for o in part])
    assert found[GAP].value == pytest.approx(areas[TRAINED_ON] - areas[HELD_OUT])


def test_scores_of_different_weights_are_not_compared():
    """Two folds, each perfect at a level of its own: pooled they would look bad."""
    scored = []
    for model, level in (("one", 0.0), ("two", 8.0)):
        scored += many(HELD_OUT, "real", level - 3, model=model)
        scored += many(HELD_OUT, "fake", level + 3, model=model)
    scored += many(TRAINED_ON, "real", -3) + many(TRAINED_ON, "fake", 3)
    assert abs(findings(scored)[GAP].value) < 0.05


def test_what_cannot_be_measured_says_why():
    found = findings(many(HELD_OUT, "real", -3, 40) + many(HELD_OUT, "fake", 3, 4))
    assert found[ALARMS].verdict == OK
    assert found[ONE_SIDED].verdict == NOT_MEASURED
    assert "4 fakes held out" in found[ONE_SIDED].note
    assert "it takes 10" in found[ONE_SIDED].note
    diverged = [dataclasses.replace(one, score=float("nan")) for one in world()]
    assert {one.verdict for one in findings(diverged).values()} == {NOT_MEASURED}
    assert "diverged" in findings(diverged)[ALARMS].note


def test_a_check_that_fails_ends_nothing():
    def broken(scores):
        raise ZeroDivisionError("by itself")

    found = findings(world(), checks=(Check("broken", broken, 1.0, "nothing"), *PIXEL))
    assert found["broken"].verdict == NOT_MEASURED
    assert "by itself" in found["broken"].note
    assert found[ALARMS].verdict == OK

    def no_model():
        raise RuntimeError("out of\nmemory")

    left = diagnose(PIXEL, no_model, 0.5)
    assert [one.name for one in left.findings] == [check.name for check in PIXEL]
    assert all("RuntimeError: out of memory" in one.note for one in left.findings)


def semantic_world(**changes):
    scored = many(TRAINED_ON, "real", -3) + many(TRAINED_ON, "fake", 3)
    for grade in ("gross", "subtle"):
        scored += many(HELD_OUT, "fake", changes.get(grade, 3), grade=grade)
    scored += many(HELD_OUT, "real", -3)
    for delivery in ("flipped", "with a text", "worn down"):
        scored += many(HELD_OUT, "real", changes.get(f"real {delivery}", -3), delivery=delivery)
        scored += many(HELD_OUT, "fake", changes.get(f"fake {delivery}", 3), delivery=delivery)
    return scored


@pytest.mark.parametrize(
    ("changes", "signatures"),
    [
        ({}, set()),
        ({"real with a text": 2}, {"photos called fake after changes that mean nothing"}),
        ({"fake worn down": -2}, {"lost once the pixels are worn down"}),
        ({"subtle": -1}, {"lost where faults are subtle", "lost once the pixels are worn down"}),
    ],
)
def test_signatures_of_semantic_models(changes, signatures):
    found = findings(semantic_world(**changes), SEMANTIC)
    looked = {name for name, one in found.items() if one.verdict == LOOK}
    # Fakes that are missed as they are cannot be lost by wearing them down.
    assert looked == signatures - (
        {"lost once the pixels are worn down"} if "subtle" in changes else set()
    )
    if "real with a text" in changes:
        assert "with a text" in found["photos called fake after changes that mean nothing"].images


def test_subtle_faults_need_the_column():
    scored = [dataclasses.replace(one, grade="") for one in semantic_world()]
    found = findings(scored, SEMANTIC)["lost where faults are subtle"]
    assert found.verdict == NOT_MEASURED
    assert "no column implausibility" in found.note


def test_images_are_spread_over_the_list(tmp_path):
    assert spread_out([*range(10)], 5) == [0, 2, 4, 6, 8]
    assert spread_out([1, 2], 5) == [1, 2]
    assert len(probes_of_files(HELD_OUT, "real", (f"{k}.png" for k in range(1000)))) == MOST
    assert len(probes_of_files(HELD_OUT, "real", ["a.png"] * 9)) == 1


def write_jpeg_against_png(folder, count, val):
    """The same pictures twice: photos as JPEG files, fakes as PNG files, and nothing else."""
    folder.mkdir()
    rows = []
    for k in range(count + val):
        split = "train" if k < count else "val"
        picture = texture(96, 96, seed=k, spread=20.0)
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=2)
        (folder / f"real-{k}.jpg").write_bytes(buffer.getvalue())
        (folder / f"fake-{k}.png").write_bytes(png(picture))
        rows.append(Row(f"real-{k}.jpg", "real", source="street", split=split))
        rows.append(Row(f"fake-{k}.png", "fake", "none", "street", split, pair=f"real-{k}.jpg"))
    write_manifest(rows, folder / "manifest.csv")
    return folder / "manifest.csv"


def built(manifest, folder):
    recipe = expert_recipe(steps=80, eval_steps=40)
    recipe = dataclasses.replace(
        recipe, pairs=dataclasses.replace(recipe.pairs, alignment=Alignment(jpeg=0, blend=0))
    )
    build_expert(recipe, manifest, folder / "m", folder / "work", workers=0)
    diagnosis = read_diagnosis(folder / "m")
    return diagnosis, {one.name: one for one in diagnosis.findings}


def test_an_expert_that_goes_by_the_file_format_is_found_out(tmp_path):
    diagnosis, found = built(write_jpeg_against_png(tmp_path / "set", 24, 16), tmp_path)
    assert found[FORMAT].verdict == LOOK
    assert found[FORMAT].value > 0.3
    assert "16 photos and 16 fakes held out" in found[FORMAT].images
    assert found[UNSEEN_LOSS].verdict == NOT_MEASURED
    card = (tmp_path / "m" / "card.md").read_text()
    assert "## Failure signatures" in card
    assert f"| {FORMAT} | look |" in card
    lines = diagnosis.lines()
    assert lines[0].startswith("look: ")
    assert any(line.startswith(f"look: {FORMAT} 0.") for line in lines)


def test_an_expert_on_traces_is_not(tmp_path):
    manifest = write_pairs(tmp_path / "set", 24, val=16, compressed=False)
    rows = read_manifest(manifest)
    for k in range(200, 212):  # fakes without a photo, by another decoder, one of them broken
        path = manifest.parent / f"other-{k}.png"
        data = png(rebuilt(rebuilt(texture(96, 96, seed=k, spread=20.0))))
        path.write_bytes(data[:300] if k == 200 else data)
        rows.append(Row(str(path), "fake", "other", "web"))
    write_manifest(rows, manifest)
    diagnosis, found = built(manifest, tmp_path)
    assert found[FORMAT].verdict == OK
    assert found[GAP].verdict == OK
    assert found[UNSEEN_LOSS].verdict == OK
    assert "16 fakes of known generators, 11 of others" in found[UNSEEN_LOSS].images
    assert diagnosis.unreadable == ("other-200.png: truncated",)
    values = json.loads((tmp_path / "m" / "diagnostics.json").read_text())
    assert values["version"] == 1
    assert str(tmp_path) not in json.dumps(values)


def study_of(folder):
    """A manifest's rows, one broken, and what a study of two folds might have predicted."""
    rows = write_set(folder, 6)
    (folder / "broken.png").write_bytes(png(texture(96, 96))[:300])
    rows.append(Row(str(folder / "broken.png"), "real", source="street"))
    predictions = [
        Prediction(k % 2, one.path, one.label, one.generator, one.source, delivery, logit)
        for k, one in enumerate(rows[:-1])
        for delivery, logit in (
            ("as is", 3.0 if one.label == "fake" else -3.0),
            ("JPEG 90", 3.0 if one.label == "fake" else 2.0),
        )
    ]
    return rows, predictions


def test_gamma_is_held_against_its_held_out_images(tmp_path):
    samples = read_manipulation_set(write_manipulated(tmp_path, 10, val=10))
    parts = {name: [s for s in samples if s.split == name] for name in ("train", "val")}
    held_out = [
        dataclasses.replace(s, generator="other") if s.manipulation == "full" else s
        for s in parts["val"]
    ]
    model = find_folder("gamma-compact")
    measured = measure_images(GammaBranch.load(model), held_out, ("as is", "JPEG 90"))
    calibration = open_folder(model).calibration
    for moved_is_fake, fakes in ((True, 30), (False, 20)):
        diagnosis = diagnose_gamma(
            parts["train"], measured, calibration, model, moved_is_fake=moved_is_fake
        )
        found = {one.name: one for one in diagnosis.findings}
        assert {one.verdict for one in diagnosis.findings} <= {OK, LOOK}
        assert f"10 photos and {fakes} fakes held out, as is" in found[FORMAT].images
        assert f"{fakes - 10} fakes of known generators, 10 of others" in found[UNSEEN_LOSS].images
    untouched = [
        calibrated(one.logit, calibration.scale, calibration.bias) >= calibration.threshold
        for one in measured
        if (one.sample.manipulation, one.delivery) == ("none", "as is")
    ]
    assert found[ALARMS].value == np.mean(untouched)


def test_a_semantic_model_is_asked_what_it_should_not_go_by(tmp_path):
    data = write_world(tmp_path / "set", 24, held_out=48)
    validation = data / "preferences" / "validation.parquet"
    table = pq.read_table(validation)
    grades = ["", "gross", "", "subtle"] * 12  # every other scene is impossible
    pq.write_table(table.append_column("implausibility", [grades]), validation)
    preferences = open_preferences(data, tmp_path / "cache", held_out=0.1, seed=0)
    base = newborn(tmp_path / "base")
    folder = open_semantic_folder(base)
    calibration = dataclasses.replace(folder.calibration, threshold=0.4, threshold_real=0.4)
    found = diagnose_semantic(preferences, calibration, base).findings
    assert {one.verdict for one in found} <= {OK, LOOK}
    by_name = {one.name: one for one in found}
    photos = [np.asarray(row["images"][0]) for row in preferences.held_out][::2]
    scores = LocalBackend(folder).vlm.score(photos)
    expected = 1 / (1 + np.exp(scores[:, 1] - scores[:, 0])) >= 0.4
    assert by_name[ALARMS].value == expected.mean()
    changed = by_name["photos called fake after changes that mean nothing"].images
    assert all(name in changed for name in ("flipped", "with a text", "with letters", "worn down"))
    assert by_name["lost where faults are subtle"].images == "12 gross and 12 subtle fakes"


UNCALIBRATED = Calibration(1.0, 0.0, 0.5, 0.5, "")


def test_a_compact_expert_is_held_against_its_study(tmp_path):
    rows, predictions = study_of(tmp_path)
    diagnosis = diagnose_compact(rows, predictions, UNCALIBRATED, find_folder("compact"))
    found = {one.name: one for one in diagnosis.findings}
    assert (found[ALARMS].value, found[ALARMS].images) == (0.0, "12 held-out photos")
    assert found[DELIVERED].verdict == LOOK
    assert (found[DELIVERED].value, found[DELIVERED].low) == (1.0, pytest.approx(0.025 ** (1 / 12)))
    assert "12 fakes of known generators, which were trained on" in found[UNSEEN_LOSS].images
    assert found[GAP].verdict == NOT_MEASURED, "no generator is both known and held out"
    assert diagnosis.unreadable == ("broken.png: truncated",)


def test_a_model_that_cannot_be_opened_is_a_reason(tmp_path):
    rows, predictions = study_of(tmp_path)
    found = diagnose_compact(rows, predictions, UNCALIBRATED, tmp_path / "no")
    assert {one.verdict for one in found.findings} == {NOT_MEASURED}
    assert "no model named or at" in found.findings[0].note
