"""From trained weights to a folder that detection runs: the same numbers, or an error."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.drawn import texture
from fixtures.training import RECIPE

from aligngemini.branches.pixel import PixelBranch
from aligngemini.images.views import cut, pad_to, textured_tiles, whole
from aligngemini.models.compact import CompactExpert
from aligngemini.runtimes.folder import Calibration, ModelError, open_folder
from aligngemini.runtimes.onnx import OnnxRuntime
from aligngemini.training import export
from aligngemini.training.export import UNCALIBRATED, ExportError, export_compact

CALIBRATION = Calibration(1.2, -0.3, 0.8, 0.4, "drawn images", 0.01, 0.05)


@pytest.fixture(scope="module")
def expert():
    torch.manual_seed(3)
    expert = CompactExpert(RECIPE.native, RECIPE.whole)
    # As after training: statistics that are not 0 and 1.
    for name, value in expert.named_buffers():
        if "running" in name:
            value.uniform_(0.2, 0.8)
    return expert.eval()


@pytest.fixture(scope="module")
def folder(expert, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "drawn-v1"
    export_compact(expert, RECIPE, CALIBRATION, "# A card\n", path)
    return path


def batched(views):
    return torch.from_numpy(np.ascontiguousarray(views.transpose(0, 3, 1, 2)))


@pytest.mark.parametrize("count", [1, 2, 5, 17])
def test_runtime_and_torch_agree_for_any_number_of_crops(expert, folder, count):
    crops = np.stack([texture(48, 48, seed=k) for k in range(count)])
    small = texture(32, 32, seed=99)[None]
    got = OnnxRuntime(folder / "model.onnx", device="cpu", threads=1).run(crops=crops, whole=small)
    with torch.no_grad():
        expected = expert(batched(crops)[None], batched(small))["logits"]
        patches, weights = expert.native(batched(crops))
    np.testing.assert_allclose(got["logit"], expected.numpy(), atol=1e-4)
    np.testing.assert_allclose(got["patches"], patches.numpy(), atol=1e-4)
    np.testing.assert_allclose(got["weights"], weights.numpy(), atol=1e-4)


@pytest.mark.parametrize("shape", [(160, 120), (50, 47), (40, 90), (300, 301)])
def test_from_pixels_to_logit_torch_gives_the_branchs_number(expert, folder, shape):
    pixels = texture(*shape, seed=5)
    padded = pad_to(pixels, 48)
    crops = cut(padded, textured_tiles(padded, 48, RECIPE.crops, RECIPE.grid), 48)
    with torch.no_grad():
        expected = expert(batched(crops)[None], batched(whole(pixels, 32)[None]))["logits"].item()
    branch = PixelBranch.load(folder, device="cpu", threads=1)
    assert branch.logit(pixels) == pytest.approx(expected, abs=1e-4)


def test_folder_holds_what_was_asked(folder):
    assert {path.name for path in folder.iterdir()} == {
        "model.onnx",
        "preprocess.json",
        "calibration.json",
        "card.md",
        "hashes.json",
    }
    model = open_folder(folder)
    assert model.calibration == CALIBRATION
    views = model.preprocess
    assert (views.crop_size, views.crops, views.grid, views.whole_size) == (48, 2, 2, 32)
    assert (views.kind, views.whole_filter) == ("crops-and-whole", "bilinear")
    assert (folder / "card.md").read_text() == "# A card\n"


def test_same_numbers_give_the_same_fingerprint(expert, folder, tmp_path):
    again = export_compact(expert, RECIPE, CALIBRATION, "# Another card\n", tmp_path / "again")
    assert again == open_folder(folder).fingerprint


def test_weights_tell_nothing_of_the_machine(folder):
    content = (folder / "model.onnx").read_bytes()
    for place in (Path(export.__file__).parents[2], Path.cwd(), folder):
        assert str(place).encode() not in content
    assert b".py" not in content


def test_other_weights_give_another_file_and_uncalibrated_ones_valid_json(expert, folder, tmp_path):
    other = CompactExpert(RECIPE.native, RECIPE.whole)
    other.load_state_dict(expert.state_dict())
    with torch.no_grad():
        other.native.head.bias[0] += 1e-3
    export_compact(other, RECIPE, UNCALIBRATED, "", tmp_path / "raw")
    first, second = (path / "model.onnx" for path in (folder, tmp_path / "raw"))
    assert first.read_bytes() != second.read_bytes()

    def refuse(constant):
        raise AssertionError(constant)

    json.loads((tmp_path / "raw" / "calibration.json").read_text(), parse_constant=refuse)
    assert "not calibrated" in open_folder(tmp_path / "raw").calibration.fitted_on


def test_tampered_weights_are_refused(folder, tmp_path):
    path = shutil.copytree(folder, tmp_path / "model")
    content = bytearray((path / "model.onnx").read_bytes())
    content[-100] ^= 1
    (path / "model.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="damaged or edited"):
        PixelBranch.load(path)


@pytest.mark.parametrize(("output", "error"), [("logit", 2e-4), ("patches", np.nan)])
def test_graph_that_gives_other_numbers_is_refused(expert, tmp_path, monkeypatch, output, error):
    class Off(OnnxRuntime):
        def run(self, **inputs):
            outputs = super().run(**inputs)
            outputs[output].flat[-1] += error
            return outputs

    monkeypatch.setattr(export, "OnnxRuntime", Off)
    with pytest.raises(ExportError, match=f"the exported {output} is .* away"):
        export_compact(expert, RECIPE, CALIBRATION, "", tmp_path / "off")
    with pytest.raises(ModelError):
        open_folder(tmp_path / "off")
