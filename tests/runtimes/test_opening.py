"""Which engine runs a folder, and what is said where none can."""

import hashlib

import pytest
import torch
from fixtures.experts import expert_folder
from fixtures.models import brightness_folder

from aligngemini.runtimes import opening
from aligngemini.runtimes.folder import ModelError, is_large, open_folder, seal_folder
from aligngemini.runtimes.onnx import OnnxRuntime
from aligngemini.runtimes.opening import open_runtime
from aligngemini.runtimes.preprocess import CenterCrop, preprocess_from, preprocess_to
from aligngemini.runtimes.torch import TorchRuntime


def test_weights_for_pytorch_run_on_pytorch(tmp_path):
    runtime = open_runtime(open_folder(expert_folder(tmp_path / "m")), device="cpu", threads=1)
    assert isinstance(runtime, TorchRuntime)
    assert runtime.device == "cpu"


def test_a_graph_runs_on_onnx_runtime(tmp_path):
    runtime = open_runtime(open_folder(brightness_folder(tmp_path / "m")), device="cpu")
    assert isinstance(runtime, OnnxRuntime)


def test_on_a_cpu_the_graph_goes_before_the_weights(tmp_path):
    folder = expert_folder(tmp_path / "m")
    graph = brightness_folder(tmp_path / "graph") / "model.onnx"
    (folder / "model.onnx").write_bytes(graph.read_bytes())
    before = open_folder(expert_folder(tmp_path / "other")).fingerprint
    seal_folder(folder)
    opened = open_folder(folder)
    assert isinstance(open_runtime(opened, device="cpu"), OnnxRuntime)
    assert opened.fingerprint == before  # that of the weights, which the graph was exported from


def test_without_pytorch_weights_for_it_are_an_error_that_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"aligngemini export .*m"):
        open_runtime(open_folder(expert_folder(tmp_path / "m")), device="auto")


@pytest.mark.parametrize("make", [expert_folder, brightness_folder])
def test_devices_that_are_not_there_are_refused(tmp_path, make):
    folder = open_folder(make(tmp_path / "m"))
    with pytest.raises(ModelError, match="unknown device 'tpu'"):
        open_runtime(folder, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="CUDA"):
            open_runtime(folder, device="cuda")


def test_an_export_without_its_weights_keeps_their_fingerprint(tmp_path):
    folder = expert_folder(tmp_path / "m")
    before = open_folder(folder)
    weights = before.safetensors.read_bytes()
    graph = brightness_folder(tmp_path / "graph") / "model.onnx"
    (folder / "model.onnx").write_bytes(graph.read_bytes())
    (folder / "model.safetensors").unlink()
    (folder / "config.json").unlink()
    seal_folder(folder, exported_from=hashlib.sha256(weights).hexdigest())
    assert open_folder(folder).fingerprint == before.fingerprint


def test_only_small_folders_are_loaded_several_times(tmp_path, monkeypatch):
    folder = expert_folder(tmp_path / "m")
    assert not is_large(folder)
    assert not is_large("compact")
    assert is_large("hf:owner/name")  # nobody knows how large
    monkeypatch.setattr("aligngemini.runtimes.folder.LARGE", 1000)
    assert is_large(folder)


def test_preprocessing_survives_its_file():
    views = CenterCrop(crop_size=28, patch_size=14, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0))
    assert preprocess_from(preprocess_to(views)) == views
