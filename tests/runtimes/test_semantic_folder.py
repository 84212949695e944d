"""Semantic model folders: what is read, what is refused, and what the fingerprint covers."""

import json
import shutil
from dataclasses import replace

import pytest
from fixtures.vlm import tiny_vlm_folder
from peft import LoraConfig, get_peft_model

from aligngemini.models.qwen import load_model
from aligngemini.prompts import Prompt
from aligngemini.runtimes.folder import Calibration, ModelError
from aligngemini.runtimes.semantic_folder import (
    ADAPTER,
    UNMEASURED,
    SemanticSettings,
    open_semantic_folder,
    seal_semantic_folder,
)

CALIBRATION = Calibration(1.5, 0.25, 0.9, 0.2, "drawn images", false_alarm_rate=0.01)
SETTINGS = SemanticSettings(
    base="../base",
    base_revision="abc",
    min_pixels=4 * 784,
    max_pixels=16 * 784,
    prompt=Prompt(question="Is it?", fake="No.", real="Yes."),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A base model, an adapter folder beside it."""
    root = tmp_path_factory.mktemp("models")
    tiny_vlm_folder(root / "base")
    lora = LoraConfig(r=2, target_modules=r".*language_model.*\.q_proj")
    get_peft_model(load_model(root / "base"), lora).save_pretrained(root / "adapter")
    seal_semantic_folder(root / "adapter", SETTINGS, CALIBRATION)
    return root


@pytest.fixture
def models(made, tmp_path):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_what_was_written_is_read(models):
    folder = open_semantic_folder(models / "adapter")
    assert folder.settings == SETTINGS
    assert folder.calibration == CALIBRATION
    assert folder.base.resolve() == (models / "base").resolve()
    assert folder.adapter == models / "adapter"
    assert folder.name == "adapter"
    written = json.loads((models / "adapter/semantic.json").read_text())
    assert written["prompt"] == {"question": "Is it?", "fake": "No.", "real": "Yes."}
    assert len(folder.fingerprint) == 12


def test_a_base_model_alone_has_the_default_wording(models):
    folder = open_semantic_folder(models / "base")
    assert (folder.name, folder.adapter) == ("base", None)
    assert folder.settings.prompt == Prompt()
    assert folder.calibration == UNMEASURED
    assert folder.calibration.false_alarm_rate is None


def test_a_base_model_can_have_settings_of_its_own(models):
    seal_semantic_folder(models / "base", replace(SETTINGS, base="."), CALIBRATION)
    folder = open_semantic_folder(models / "base")
    assert folder.adapter is None
    assert folder.base.resolve() == (models / "base").resolve()
    assert folder.settings.prompt == SETTINGS.prompt


def test_the_fingerprint_is_of_content_not_of_place(models, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(models, elsewhere, dirs_exist_ok=True)
    for name in ("adapter", "base"):
        here, there = (open_semantic_folder(root / name) for root in (models, elsewhere))
        assert here.fingerprint == there.fingerprint


def change_base_weights(models):
    weights = models / "base/model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)


def change_tokenizer(models):
    file = models / "base/tokenizer.json"
    file.write_text(file.read_text() + "\n")


def change_prompt(models):
    prompt = replace(SETTINGS.prompt, question="Is it so?")
    seal_semantic_folder(models / "adapter", replace(SETTINGS, prompt=prompt), CALIBRATION)


def change_threshold(models):
    seal_semantic_folder(models / "adapter", SETTINGS, replace(CALIBRATION, threshold=0.95))


def change_adapter(models):
    file = models / "adapter" / ADAPTER[1]
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    seal_semantic_folder(models / "adapter", SETTINGS, CALIBRATION)


@pytest.mark.parametrize(
    "change",
    [change_base_weights, change_tokenizer, change_prompt, change_threshold, change_adapter],
)
def test_whatever_changes_a_score_changes_the_fingerprint(models, change):
    before = open_semantic_folder(models / "adapter").fingerprint
    change(models)
    assert open_semantic_folder(models / "adapter").fingerprint != before


def test_another_size_of_images_is_another_fingerprint(models):
    own = open_semantic_folder(models / "adapter")
    smaller = open_semantic_folder(models / "adapter", max_pixels=8 * 784)
    assert smaller.settings.max_pixels == 8 * 784
    assert smaller.fingerprint != own.fingerprint
    with pytest.raises(ModelError, match="min_pixels"):
        open_semantic_folder(models / "adapter", max_pixels=784)


@pytest.mark.parametrize("part", [*ADAPTER, "semantic.json", "calibration.json"])
def test_an_edited_part_is_refused(models, part):
    file = models / "adapter" / part
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(ModelError, match="damaged or edited"):
        open_semantic_folder(models / "adapter")


def test_a_lost_part_is_refused(models):
    (models / "adapter" / ADAPTER[0]).unlink()
    with pytest.raises(ModelError, match="alone"):
        open_semantic_folder(models / "adapter")
    (models / "adapter" / ADAPTER[1]).unlink()
    with pytest.raises(ModelError, match="damaged or edited"):
        open_semantic_folder(models / "adapter")
    (models / "adapter/hashes.json").unlink()
    with pytest.raises(ModelError, match="cannot read"):
        open_semantic_folder(models / "adapter")


def test_settings_of_another_version_are_refused(models):
    file = models / "adapter/semantic.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "frames": 4}))
    hashes = models / "adapter/hashes.json"
    import hashlib

    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    hashes.write_text(json.dumps({**json.loads(hashes.read_text()), "semantic.json": digest}))
    with pytest.raises(ModelError, match="unknown setting frames"):
        open_semantic_folder(models / "adapter")


def test_a_lost_base_is_named(models):
    shutil.rmtree(models / "base")
    with pytest.raises(ModelError, match=r"no semantic model named or at .*base"):
        open_semantic_folder(models / "adapter")


def test_other_models_are_refused(models):
    config = models / "base/config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_type": "llava"}))
    with pytest.raises(ModelError, match="type 'llava'"):
        open_semantic_folder(models / "base")
    (models / "base/model.safetensors").unlink()
    config.write_text(json.dumps({"model_type": "qwen2_5_vl"}))
    with pytest.raises(ModelError, match="no weights"):
        open_semantic_folder(models / "base")


def test_a_model_of_the_hub_is_taken_from_its_cache_or_said_to_be_missing(models, monkeypatch):
    cache = models / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    with pytest.raises(ModelError, match=r"aligngemini models pull qwen2\.5-vl-7b"):
        open_semantic_folder("qwen2.5-vl-7b")
    repository = cache / "models--Qwen--Qwen2.5-VL-7B-Instruct"
    commit = "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(models / "base", repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(commit)
    folder = open_semantic_folder("qwen2.5-vl-7b")
    assert folder.base == repository / "snapshots" / commit
    assert folder.name == "Qwen2.5-VL-7B-Instruct"
    assert open_semantic_folder("Qwen/Qwen2.5-VL-7B-Instruct").fingerprint == folder.fingerprint
    other = "f" * 40
    (repository / "snapshots" / commit).rename(repository / "snapshots" / other)
    (repository / "refs/main").write_text(other)
    assert open_semantic_folder("qwen2.5-vl-7b").fingerprint != folder.fingerprint


@pytest.mark.parametrize("spec", ["nothing", "./some/where", "/some/where", "a/b/c"])
def test_nonsense_is_said_to_be(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="no semantic model named or at"):
        open_semantic_folder(spec)
