"""The published checkpoint gives the published code's score on the same file."""

import functools
import io

import numpy as np
import pytest
import torch
from fixtures.dda_reference import DdaReference, save_checkpoint
from fixtures.drawn import texture
from PIL import Image as PILImage

from aligngemini.branches.pixel import PixelBranch
from aligngemini.images.decode import decode, read_bytes
from aligngemini.models.dda import CheckpointError, load_dda
from aligngemini.runtimes.folder import ModelError, open_folder, sha256_file
from aligngemini.runtimes.importing import import_dda
from aligngemini.runtimes.preprocess import CenterCrop

FILES = {
    "larger.jpg": (421, 700),
    "smaller.png": (101, 250),
    "one-side-smaller.webp": (200, 500),
    "grey.png": (340, 411),
    "grey-and-small.jpg": (97, 64),
    "exact.png": (336, 336),
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for seed, (name, size) in enumerate(FILES.items()):
        image = PILImage.fromarray(texture(*size, seed=seed))
        image.convert("L" if "grey" in name else "RGB").save(folder / name)
    return folder


@functools.cache
def reference(**sizes):
    return DdaReference(**sizes).eval()


def scores(folder, images):
    branch = PixelBranch.load(folder, device="cpu", threads=1)
    decoded = [decode(read_bytes(images / name), path=name) for name in FILES]
    return [evidence.score for evidence in branch.judge(decoded)]


@pytest.mark.parametrize(
    "sizes", [{}, {"width": 128, "depth": 3, "rank": 4}, {"swiglu": True}], ids=str
)
def test_scores_are_those_of_the_published_code(tmp_path, images, sizes):
    checkpoint = save_checkpoint(tmp_path / "DDA_ckpt.pth", reference(**sizes))
    import_dda(checkpoint, tmp_path / "dda")
    expected = [reference(**sizes).score(images / name) for name in FILES]
    assert np.ptp(expected) > 0.05  # they do differ
    assert scores(tmp_path / "dda", images) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("form", [{"bare": True}, {"prefix": "module."}], ids=str)
def test_other_forms_of_the_file_give_the_same_weights(tmp_path, form):
    published = load_dda(save_checkpoint(tmp_path / "a.pth", reference()))
    other = load_dda(save_checkpoint(tmp_path / "b.pth", reference(), **form))
    for a, b in zip(published.expert.parameters(), other.expert.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_file_in_the_format_of_old_pytorch_is_read(tmp_path):
    state = {"model": reference().state_dict()}
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert load_dda(tmp_path / "old.pth").merged == 8


def test_alpha_counts(tmp_path, images):
    checkpoint = save_checkpoint(tmp_path / "a.pth", reference(alpha=2.0))
    import_dda(checkpoint, tmp_path / "two", alpha=2.0)
    import_dda(checkpoint, tmp_path / "one")
    expected = [reference(alpha=2.0).score(images / name) for name in FILES]
    assert scores(tmp_path / "two", images) == pytest.approx(expected, abs=1e-4)
    assert scores(tmp_path / "one", images) != pytest.approx(expected, abs=1e-2)


def test_what_it_is_and_where_it_came_from_is_recorded(tmp_path):
    checkpoint = save_checkpoint(tmp_path / "DDA_ckpt.pth", reference(rank=4))
    loaded = load_dda(checkpoint)
    assert (loaded.merged, loaded.rank) == (2 * 4, 4)
    fingerprint = import_dda(checkpoint, tmp_path / "dda", repo="who/what", revision="abc")
    folder = open_folder(tmp_path / "dda")
    assert folder.fingerprint == fingerprint
    assert folder.preprocess == CenterCrop(336, 14)
    assert (folder.calibration.threshold, folder.calibration.threshold_real) == (0.5, 0.5)
    source = folder.source
    assert (source.file, source.repo, source.revision) == ("DDA_ckpt.pth", "who/what", "abc")
    assert source.sha256 == sha256_file(checkpoint)
    card = (tmp_path / "dda/card.md").read_text()
    assert source.sha256 in card
    assert "Apache-2.0" in card
    assert "rank 4 and alpha 1 is merged into 8 layers" in card


def test_a_changed_record_of_the_source_is_refused(tmp_path):
    import_dda(save_checkpoint(tmp_path / "a.pth", reference()), tmp_path / "dda")
    source = tmp_path / "dda/source.json"
    source.write_text(source.read_text().replace("a.pth", "b.pth"))
    with pytest.raises(ModelError, match=r"source\.json does not match"):
        open_folder(tmp_path / "dda")
    source.unlink()
    with pytest.raises(ModelError, match=r"cannot read .*source\.json"):
        open_folder(tmp_path / "dda")


def test_a_threshold_of_ones_own(tmp_path):
    import_dda(save_checkpoint(tmp_path / "a.pth", reference()), tmp_path / "dda", threshold=0.9)
    calibration = open_folder(tmp_path / "dda").calibration
    assert (calibration.threshold, calibration.threshold_real) == (0.9, 0.9)
    assert "importer" in calibration.fitted_on


LORA = "base_model.model.blocks.1.attn.qkv.lora.lora_A"


def broken(kind):
    """A checkpoint with one thing wrong."""
    state = reference().state_dict()
    match kind:
        case "missing":
            for index in range(2):
                del state[f"base_model.model.blocks.{index}.norm2.weight"]
        case "unknown":
            state["base_model.model.register_tokens"] = torch.zeros(1, 4, 64)
        case "half of a LoRA":
            del state[LORA]
        case "LoRA of another layer":
            state[LORA] = torch.zeros(8, 65)
        case "two classes":
            state["base_model.fc.weight"] = torch.zeros(2, 64)
        case "no DINOv2":
            state = {"conv1.weight": torch.zeros(3, 3)}
        case "table not square":
            name = "base_model.model.pos_embed"
            state[name] = state[name][:, :-5]
    return state


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", r"lacks layers: blocks\.0\.norm2\.weight, blocks\.1\.norm2\.weight$"),
        ("unknown", r"holds unknown layers: register_tokens$"),
        ("half of a LoRA", r"blocks\.1\.attn\.qkv lacks its lora_A or lora_B"),
        ("LoRA of another layer", r"blocks\.1\.attn\.qkv do not fit its weight"),
        ("two classes", "other shapes"),
        ("no DINOv2", "holds no DINOv2"),
        ("table not square", "not square"),
    ],
)
def test_layers_that_do_not_fit_are_named(tmp_path, kind, said):
    torch.save({"model": broken(kind)}, tmp_path / "bad.pth")
    with pytest.raises(CheckpointError, match=said):
        load_dda(tmp_path / "bad.pth")


class Harmful:
    def __reduce__(self):
        return (print, ("run",))


def file_of(kind):
    buffer = io.BytesIO()
    if kind == "code":
        torch.save({"model": reference().state_dict(), "more": Harmful()}, buffer)
    elif kind == "truncated":
        torch.save({"model": reference().state_dict()}, buffer)
        return buffer.getvalue()[:-50_000]
    elif kind == "a list":
        torch.save([1, 2], buffer)
    elif kind == "an image":
        PILImage.new("RGB", (8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("code", "not run"),
        ("truncated", "damaged, or no PyTorch checkpoint"),
        ("a list", "holds no layers by name"),
        ("an image", "no PyTorch checkpoint"),
        ("empty", "no PyTorch checkpoint"),
    ],
)
def test_files_that_are_no_checkpoint_leave_nothing_behind(tmp_path, capsys, kind, said):
    (tmp_path / "bad.pth").write_bytes(file_of(kind))
    with pytest.raises(ModelError, match=said):
        import_dda(tmp_path / "bad.pth", tmp_path / "dda")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.pth"]
    assert "run" not in capsys.readouterr().out


def test_a_folder_in_use_is_not_written_over(tmp_path):
    checkpoint = save_checkpoint(tmp_path / "a.pth", reference())
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="there already"):
        import_dda(checkpoint, tmp_path / "taken")
    assert (tmp_path / "taken/notes.txt").read_text() == "mine"
    with pytest.raises(ModelError, match=r"cannot read .*missing\.pth"):
        import_dda(tmp_path / "missing.pth", tmp_path / "dda")
