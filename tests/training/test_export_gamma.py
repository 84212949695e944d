"""An exported GAMMA model: PyTorch's numbers in every cell, or no export at all."""

import shutil

import numpy as np
import pytest
import torch
from fixtures.backbones import expert_folder
from fixtures.drawn import png, texture
from fixtures.gammas import CALIBRATION, TILES, gamma_folder, small_gamma, tiny_gamma

from aligngemini.branches.gamma import GammaBranch
from aligngemini.cli import main
from aligngemini.models.gamma import Gamma, GammaGraph
from aligngemini.runtimes.folder import ModelError, open_folder
from aligngemini.runtimes.onnx import OnnxRuntime
from aligngemini.training import export_gamma as module
from aligngemini.training.export_expert import export_expert, steps
from aligngemini.training.export_gamma import export_gamma
from aligngemini.training.onnx_graph import ExportError


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """One of each kind of backbone, exported once."""
    folders = tmp_path_factory.mktemp("gammas")
    models = {"small": small_gamma(), "tiny": tiny_gamma("dinov2_with_registers")}
    for name, model in models.items():
        export_gamma(gamma_folder(folders / name, model))
    return folders


@pytest.fixture
def quick(exported, tmp_path, monkeypatch):
    """A folder whose export takes the graph that is there: what is tested is all around it."""

    def copy(trained, path, tiles):
        shutil.copyfile(exported / "small" / "model.onnx", path)

    monkeypatch.setattr(module, "write_gamma", copy)
    return gamma_folder(tmp_path / "model")


@pytest.mark.parametrize("name", ["small", "tiny"])
def test_numbers_are_pytorchs_at_every_batch(exported, name):
    model = Gamma.from_pretrained(exported / name)
    graph = GammaGraph(model, TILES.mean, TILES.std).eval()
    runtime = OnnxRuntime(exported / name / "model.onnx", device="cpu", threads=1)
    rng = np.random.default_rng(0)
    for count in (1, 2, 5):
        pixels = rng.integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)
        with torch.no_grad():
            expected = graph(torch.from_numpy(pixels))
        got = runtime.run(pixels=pixels)
        assert list(got) == ["logit", "generated", "moved"]
        assert got["generated"].shape == (count, 16, 16)
        for values, value in zip(got.values(), expected, strict=True):
            np.testing.assert_allclose(values, value.numpy(), rtol=0, atol=1e-4)
        assert np.ptp(got["moved"]) > 0.1


def test_both_engines_say_the_same_of_an_image(exported, tmp_path):
    out = tmp_path / "onnx"
    shutil.copytree(exported / "small", tmp_path / "torch")
    (tmp_path / "torch" / "model.onnx").unlink()
    shutil.copytree(exported / "small", out)
    onnx, trained = (GammaBranch.load(place, device="cpu") for place in (out, tmp_path / "torch"))
    assert type(onnx.runtime) is not type(trained.runtime)
    assert onnx.fingerprint == trained.fingerprint
    for height, width in ((64, 64), (150, 97), (40, 200)):
        looks = [one.look(texture(height, width)) for one in (onnx, trained)]
        assert looks[0].logit == pytest.approx(looks[1].logit, abs=1e-4)
        for name, values in looks[0].maps.items():
            np.testing.assert_allclose(values, looks[1].maps[name], rtol=0, atol=1e-4)


def test_folder_of_its_own_has_the_fingerprint_of_the_weights(quick, tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(png(texture(90, 64)))
    bad.write_bytes(good.read_bytes()[:300])
    images, calls = [str(good), str(bad)], []
    out = tmp_path / "out"
    fingerprint, parity = export_gamma(quick, out=out, images=images, step=lambda: calls.append(1))
    assert fingerprint == open_folder(out).fingerprint == open_folder(quick).fingerprint
    assert {path.name for path in out.iterdir()} == {
        *("model.onnx", "preprocess.json", "calibration.json", "card.md", "hashes.json"),
    }
    assert open_folder(out).preprocess == TILES
    assert open_folder(out).calibration == CALIBRATION
    assert (parity.images, len(calls)) == (5, steps(images) - 1)
    assert parity.unreadable.keys() == {str(bad)}
    assert 0 <= parity.score <= parity.logit <= 1e-4


class Off(OnnxRuntime):
    """An engine one of whose outputs is a little off, of one tile or of several."""

    output, several = "logit", False

    def run(self, **inputs):
        outputs = super().run(**inputs)
        if (len(inputs["pixels"]) > 1) == self.several:
            outputs[self.output] = outputs[self.output] + np.float32(2e-4)
        return outputs


@pytest.mark.parametrize("output", ["logit", "generated", "moved"])
@pytest.mark.parametrize("several", [False, True])
def test_numbers_that_are_off_leave_nothing_behind(quick, output, several, monkeypatch):
    before = {path.name: path.read_bytes() for path in quick.iterdir()}
    off = type("Off", (Off,), {"output": output, "several": several})
    monkeypatch.setattr(module, "OnnxRuntime", off)
    with pytest.raises(ExportError, match=rf"the exported {output} is .* away"):
        export_gamma(quick)
    assert {path.name: path.read_bytes() for path in quick.iterdir()} == before


def test_folders_that_cannot_be_exported(quick, tmp_path):
    export_gamma(quick, out=tmp_path / "onnx")
    with pytest.raises(ModelError, match="holds no PyTorch weights to export"):
        export_gamma(tmp_path / "onnx")
    with pytest.raises(ModelError, match="is no GAMMA model"):
        export_gamma(expert_folder(tmp_path / "expert"))
    with pytest.raises(ModelError, match="is a GAMMA model, and this is for pixel experts"):
        export_expert(quick)


def test_the_command_exports_both_kinds(quick, capsys):
    assert main(["export", str(quick)]) == 0
    fingerprint = open_folder(quick).fingerprint
    assert capsys.readouterr().out.startswith(f"{quick}: {fingerprint}; on 4 images, scores are")
    assert open_folder(quick).onnx is not None
