"""Graphs on ONNX Runtime, and where they run."""

import numpy as np
import onnxruntime
import pytest
from fixtures.drawn import flat
from fixtures.models import GAIN, write_graph

from aligngemini.runtimes.folder import ModelError
from aligngemini.runtimes.onnx import OnnxRuntime, pick_device


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    write_graph(path, crop_size=16, whole_size=8)
    return path


@pytest.fixture
def built_for_cuda(monkeypatch):
    """An ONNX Runtime that has CUDA compiled in, on a machine where it does not work."""
    found = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: found)


def test_outputs_come_by_name(weights):
    runtime = OnnxRuntime(weights, device="cpu", threads=1)
    outputs = runtime.run(whole=flat(8, 8, 255)[None], crops=np.stack([flat(16, 16, 0)] * 3))
    assert set(outputs) == {"logit", "patches", "weights"}
    assert outputs["patches"].shape == (3, 2, 2)
    np.testing.assert_allclose(outputs["patches"], -127.5 * GAIN)
    np.testing.assert_allclose(outputs["logit"], [0], atol=1e-6)


def test_inputs_say_their_shapes(weights):
    assert OnnxRuntime(weights).inputs == {"crops": ["n", 16, 16, 3], "whole": [1, 8, 8, 3]}


def test_file_that_is_no_graph_is_refused(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match=r"cannot load .*model\.onnx"):
        OnnxRuntime(path)
    with pytest.raises(ModelError, match=r"cannot load .*gone\.onnx"):
        OnnxRuntime(tmp_path / "gone.onnx")


def test_auto_takes_what_is_there(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert [pick_device("auto"), pick_device("cpu")] == ["cpu", "cpu"]
    with pytest.raises(ModelError, match="no CUDA"):
        pick_device("cuda")


def test_auto_prefers_cuda(built_for_cuda):
    assert [pick_device(name) for name in ("auto", "cpu", "cuda")] == ["cuda", "cpu", "cuda"]


def test_unknown_device_is_refused():
    with pytest.raises(ModelError, match="unknown device 'gpu'; known: auto, cpu, cuda"):
        pick_device("gpu")


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_cuda_that_was_asked_for_never_becomes_the_cpu(built_for_cuda, weights):
    if "CUDAExecutionProvider" in onnxruntime.InferenceSession(weights).get_providers():
        pytest.skip("CUDA works here")
    with pytest.raises(ModelError, match="cuda was asked for"):
        OnnxRuntime(weights, device="cuda")


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_auto_makes_do_with_the_cpu_and_says_so(built_for_cuda, weights):
    runtime = OnnxRuntime(weights, device="auto")
    assert runtime.device in ("cpu", "cuda")
    on_cuda = runtime._session.get_providers()[0] == "CUDAExecutionProvider"
    assert (runtime.device == "cuda") is on_cuda
