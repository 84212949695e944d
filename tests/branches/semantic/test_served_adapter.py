"""`DIR@URL`: the server answers, the adapter's folder says how it is asked and read."""

import shutil

import pytest
from fixtures.vlm_answers import BRIGHT, DARK, shade
from fixtures.vlm_server import VlmServer

from aligngemini.branches.semantic.loading import load_semantic
from aligngemini.images.item import Image
from aligngemini.prompts import Prompt
from aligngemini.runner import DetectorOptions, any_large
from aligngemini.runtimes.folder import Calibration, ModelError
from aligngemini.runtimes.semantic_folder import SemanticSettings, seal_semantic_folder

CALIBRATION = Calibration(
    scale=0.5, bias=-0.25, threshold=0.8, threshold_real=0.1, fitted_on="x", false_alarm_rate=0.02
)


@pytest.fixture
def server(answering):
    with VlmServer(answering) as server:
        yield server


@pytest.fixture
def folder(answering, tmp_path):
    """A model whose weights are those that the server has, read its own way."""
    path = tmp_path / "mine@home"
    shutil.copytree(answering, path)
    settings = SemanticSettings(base=".", min_pixels=9 * 784, max_pixels=16 * 784)
    seal_semantic_folder(path, settings, CALIBRATION)
    return path


@pytest.fixture(scope="module")
def images():
    return [
        Image(shade(level, *size, seed=7))
        for level, size in ((DARK, (70, 90)), (BRIGHT, (300, 400)), (DARK, (140, 100)))
    ]


def test_scores_and_thresholds_are_those_of_the_folder_in_process(server, folder, images):
    here = load_semantic(folder, device="cpu").judge(images)
    there = load_semantic(f"{folder}@{server.url}#tiny").judge(images)
    for one, other in zip(here, there, strict=True):
        assert other.score == pytest.approx(one.score, abs=1e-3)
        assert (other.verdict, other.threshold, other.threshold_real) == (one.verdict, 0.8, 0.1)
        assert other.false_alarm_rate == 0.02
    plain = load_semantic(server.url).judge(images)
    assert [one.threshold for one in plain] == [0.5] * 3
    assert all(abs(a.score - b.score) > 0.01 for a, b in zip(plain, there, strict=True))


def test_weights_need_not_be_there(server, folder, images, tmp_path):
    copy = tmp_path / "settings"
    copy.mkdir()
    for name in ("semantic.json", "calibration.json", "hashes.json"):
        shutil.copyfile(folder / name, copy / name)
    whole, bare = (load_semantic(f"{path}@{server.url}") for path in (folder, copy))
    assert bare.judge(images)[0].score == whole.judge(images)[0].score
    assert bare.fingerprint == whole.fingerprint


def test_other_thresholds_or_sizes_are_another_model(server, folder):
    fingerprints = {load_semantic(server.url).fingerprint}
    for changes in ({}, {"scale": 0.6}, {"threshold": 0.9}):
        calibration = Calibration(**{**vars(CALIBRATION), **changes})
        seal_semantic_folder(folder, SemanticSettings(base="."), calibration)
        fingerprints.add(load_semantic(f"{folder}@{server.url}").fingerprint)
    seal_semantic_folder(folder, SemanticSettings(base=".", min_pixels=9 * 784), calibration)
    fingerprints.add(load_semantic(f"{folder}@{server.url}").fingerprint)
    assert len(fingerprints) == 5


def test_the_folders_wording_is_asked(server, folder):
    prompt = Prompt(question="Possible?", fake="It is not so.", real="It is so.")
    seal_semantic_folder(folder, SemanticSettings(base=".", prompt=prompt), CALIBRATION)
    assert load_semantic(f"{folder}@{server.url}").backend.prompt == prompt


def test_a_damaged_folder_or_none_is_refused(server, folder, tmp_path):
    (folder / "calibration.json").write_text("{}")
    with pytest.raises(ModelError, match=r"calibration\.json does not match"):
        load_semantic(f"{folder}@{server.url}")
    with pytest.raises(ModelError, match=r"holds no semantic\.json: give a folder"):
        load_semantic(f"{tmp_path}@{server.url}")


def test_a_password_in_the_url_is_no_folder():
    for url in ("http://me:secret@localhost:1/v1", "x@http://me:secret@localhost:1/v1"):
        with pytest.raises(ModelError, match="name or password in the URL"):
            load_semantic(url)


def test_a_server_is_not_large_whatever_stands_before_it(folder):
    assert not any_large(DetectorOptions(pixel=("off",), semantic=f"{folder}@http://host/v1"))
