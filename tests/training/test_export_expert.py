"""An exported expert: PyTorch's numbers at every size and batch, or no export at all."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.backbones import CALIBRATION, expert_folder
from fixtures.drawn import png, texture
from fixtures.models import brightness_folder

from aligngemini.branches.pixel import PixelBranch
from aligngemini.images.decode import decode
from aligngemini.models.expert import ExpertGraph, PixelExpert
from aligngemini.runtimes.folder import ModelError, open_folder, seal_folder
from aligngemini.runtimes.onnx import OnnxRuntime
from aligngemini.runtimes.preprocess import CLIP_MEAN, CLIP_STD
from aligngemini.training import export_expert as module
from aligngemini.training.export_expert import export_expert, steps
from aligngemini.training.exportable import cubic_matrix, exportable
from aligngemini.training.onnx_graph import ExportError
from aligngemini.training.parity import drawn_files

EXPORTED = ("dinov2", "dinov2_with_registers", "dinov3_vit", "siglip_vision_model")
"""One of each kind: CLIP has DINOv2's class token and SigLIP's position table."""

SIZES = {False: [(40, 40)], True: [(32, 32), (40, 40), (8, 8), (24, 56), (72, 16)]}


@pytest.fixture
def dino(exported_experts):
    """An exported DINOv2."""
    return exported_experts("dinov2")


@pytest.fixture
def fixed(exported_experts):
    """One of a fixed size, which is quick to export."""
    return exported_experts("dinov2_with_registers")


@pytest.fixture
def quick(dino, monkeypatch):
    """Exports of `dino` take the graph that is there: what is tested is all around it."""

    def copy(trained, path, views):
        shutil.copyfile(dino / "model.onnx", path)

    monkeypatch.setattr(module, "write_expert", copy)
    return dino


def reference(folder):
    """The expert as transformers runs it."""
    expert = PixelExpert.from_pretrained(folder)
    return ExpertGraph(expert, CLIP_MEAN, CLIP_STD).eval()


@pytest.mark.parametrize("family", EXPORTED)
def test_numbers_are_pytorchs_at_every_batch_and_size(exported_experts, family):
    folder = exported_experts(family)
    runtime = OnnxRuntime(folder / "model.onnx", device="cpu", threads=1)
    graph = reference(folder)
    rng = np.random.default_rng(0)
    for height, width in SIZES[family != "dinov2_with_registers"]:
        for count in (1, 3):
            pixels = rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)
            with torch.no_grad():
                logit, patches = graph(torch.from_numpy(pixels))
            got = runtime.run(pixels=pixels)
            np.testing.assert_allclose(got["logit"], logit.numpy(), rtol=0, atol=1e-4)
            np.testing.assert_allclose(got["patches"], patches.numpy(), rtol=0, atol=1e-4)


def test_folder_is_whole_and_runs_on_onnx_runtime(dino):
    assert open_folder(dino).fingerprint == seal_folder(dino)
    assert {path.name for path in dino.iterdir()} == {
        *("model.safetensors", "config.json", "model.onnx", "preprocess.json"),
        *("calibration.json", "card.md", "hashes.json"),
    }
    branch = PixelBranch.load(dino, device="cpu", threads=1)
    assert isinstance(branch.runtime, OnnxRuntime)
    pixels = texture(61, 33)
    crop = np.pad(pixels[10:50], ((0, 0), (3, 4), (0, 0)))
    with torch.no_grad():
        expected = reference(dino)(torch.from_numpy(crop[None]))[0].item()
    assert branch.logit(pixels) == pytest.approx(expected, abs=1e-4)


def test_file_is_the_same_again_and_tells_nothing_of_the_machine(fixed, tmp_path):
    first = (fixed / "model.onnx").read_bytes()
    again = shutil.copytree(fixed, tmp_path / "again")
    fingerprint, _ = export_expert(again)  # over the export that is there
    assert fingerprint == open_folder(again).fingerprint
    assert (again / "model.onnx").read_bytes() == first
    for place in (Path(module.__file__).parents[2], Path.cwd(), fixed):
        assert str(place).encode() not in first
    assert b".py" not in first


def test_folder_of_its_own_has_the_fingerprint_of_the_weights(quick, tmp_path):
    out = tmp_path / "deep" / "onnx"
    out.mkdir(parents=True)  # empty ones are taken
    fingerprint, _ = export_expert(quick, out=out)
    assert fingerprint == open_folder(out).fingerprint == open_folder(quick).fingerprint
    assert {path.name for path in out.iterdir()} == {
        *("model.onnx", "preprocess.json", "calibration.json", "card.md", "hashes.json"),
    }
    assert open_folder(out).calibration == CALIBRATION
    assert [path.name for path in out.parent.iterdir()] == ["onnx"]


def test_images_are_checked_and_bad_ones_named(quick, tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(png(texture(90, 64)))
    bad.write_bytes(good.read_bytes()[:300])
    images, calls = [str(good), str(bad), str(tmp_path / "none.png")], []
    _, parity = export_expert(
        quick, out=tmp_path / "out", images=images, step=lambda: calls.append(1)
    )
    drawn = len(drawn_files(40))
    assert parity.images == drawn + 1
    assert len(calls) == steps(images) - 2
    assert parity.unreadable.keys() == set(images[1:])
    assert "no such file" in parity.unreadable[images[2]]
    assert 0 <= parity.score <= parity.logit <= 1e-4


@pytest.mark.parametrize("crop_size", [24, 40, 336])
def test_drawn_files_are_larger_and_smaller_than_the_crop(crop_size):
    shapes = [decode(data).pixels.shape for _, data in drawn_files(crop_size)]
    assert len(shapes) == 4
    assert any(min(shape[:2]) > crop_size for shape in shapes)
    assert crop_size < 40 or any(min(shape[:2]) < crop_size for shape in shapes)


class Off(OnnxRuntime):
    """An engine whose numbers are a little off: of one image, of several, or of other sizes."""

    where = "one"

    def run(self, **inputs):
        outputs = super().run(**inputs)
        count, height, width, _ = inputs["pixels"].shape
        case = "size" if (height, width) != (40, 40) else "one" if count == 1 else "several"
        if case == self.where:
            outputs["logit"] = outputs["logit"] + np.float32(2e-4)
        if self.where == "nan":
            outputs["logit"][:] = np.nan
        return outputs


@pytest.mark.parametrize("where", ["one", "several", "size", "nan"])
@pytest.mark.parametrize("apart", [False, True])
def test_numbers_that_are_off_leave_nothing_behind(quick, where, apart, tmp_path, monkeypatch):
    folder = expert_folder(tmp_path / "tiny")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(module, "OnnxRuntime", type("Off", (Off,), {"where": where}))
    with pytest.raises(ExportError, match=r"the exported logit is .* away"):
        export_expert(folder, out=tmp_path / "out" if apart else None)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_folder_without_pytorch_weights_is_refused(quick, tmp_path):
    export_expert(quick, out=tmp_path / "onnx")
    with pytest.raises(ModelError, match="holds no PyTorch weights to export"):
        export_expert(tmp_path / "onnx")
    with pytest.raises(ModelError, match="no backbone expert"):
        export_expert(brightness_folder(tmp_path / "compact"))


def test_taken_place_is_refused_and_kept(quick, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(ModelError, match="is there already"):
        export_expert(quick, out=tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_weights_beyond_one_file_are_refused(quick, monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 1000)
    with pytest.raises(ExportError, match=r"one ONNX file holds 2; run it on PyTorch"):
        export_expert(quick)
    open_folder(quick)


@pytest.mark.parametrize(("cells", "wanted"), [(37, 24), (4, 9), (7, 7), (16, 1), (1, 3)])
def test_cubic_matrix_resizes_as_pytorch_does(cells, wanted):
    line = torch.randn(1, 1, cells, 1, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.interpolate(
        line, size=(wanted, 1), mode="bicubic", align_corners=False
    )
    matrix = cubic_matrix(cells, wanted)
    torch.testing.assert_close(matrix @ line[0, 0], expected[0, 0], rtol=0, atol=1e-5)
    if cells == wanted:
        assert torch.equal(matrix, torch.eye(cells))


def test_expert_is_as_before_after_the_export(dino):
    expert = PixelExpert.from_pretrained(dino).eval()
    attention = expert.backbone.config._attn_implementation
    pixels = torch.randn(1, 3, 24, 40)
    with torch.no_grad():
        before = expert(pixels).logits
        with exportable(expert):
            assert expert.backbone.config._attn_implementation != attention
            torch.testing.assert_close(expert(pixels).logits, before)
        assert torch.equal(expert(pixels).logits, before)
    assert expert.backbone.config._attn_implementation == attention
    assert "interpolate_pos_encoding" not in vars(expert.backbone.embeddings)


def test_hashes_name_the_weights_an_export_came_from(quick, tmp_path):
    export_expert(quick, out=tmp_path / "onnx")
    hashes = json.loads((tmp_path / "onnx" / "hashes.json").read_text())
    weights = json.loads((quick / "hashes.json").read_text())["model.safetensors"]
    assert hashes["exported_from"] == weights
