"""The pixel expert: every family of backbones, what it reads, what is saved."""

import json

import numpy as np
import pytest
import torch
from fixtures.backbones import FAMILIES, tiny_config, tiny_expert
from safetensors import safe_open
from transformers import AutoModel, CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

from aligngemini.models.expert import (
    BACKBONES,
    ExpertGraph,
    PixelExpert,
    PixelExpertConfig,
    block_linears,
)

TOWERS = ("clip_vision_model", "siglip_vision_model")


def images(count=2, height=32, width=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, height, width, generator=generator)


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


def head(expert, tokens):
    return (tokens @ expert.head.weight.T + expert.head.bias).squeeze(-1)


@torch.no_grad()
def test_logit_is_the_head_on_the_class_token_and_patches_are_in_their_places(family):
    expert = tiny_expert(family)
    pixels = images(height=24, width=40)
    output = expert(pixels)
    size = {"interpolate_pos_encoding": True} if family in TOWERS else {}
    tokens = expert.backbone(pixels, **size)
    first = tokens.pooler_output if family in TOWERS else tokens.last_hidden_state[:, 0]
    torch.testing.assert_close(output.features, first)
    torch.testing.assert_close(output.logits, head(expert, first))
    assert output.patch_logits.shape == (2, 3, 5)
    # The patches are the last tokens, whatever stands before them, row by row.
    last = head(expert, tokens.last_hidden_state[:, -15:])
    torch.testing.assert_close(output.patch_logits, last.reshape(2, 3, 5))


@torch.no_grad()
def test_the_patch_of_a_changed_place_is_at_that_place(family):
    # Without blocks, a patch's token is made of that patch alone.
    expert = tiny_expert(family, num_hidden_layers=0)
    before = images(1, 32, 40)
    after = before.clone()
    after[:, :, 8:16, 24:32] += 1
    moved = (expert(before).patch_logits - expert(after).patch_logits).abs() > 1e-6
    assert torch.nonzero(moved).tolist() == [[0, 1, 3]]


@torch.no_grad()
def test_saved_and_loaded_it_gives_the_same_numbers(family, tmp_path):
    expert = tiny_expert(family)
    expert.save_pretrained(tmp_path)
    again = PixelExpert.from_pretrained(tmp_path).eval()
    weights = expert.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in again.state_dict().items())
    # To the last digits: products depend on where in memory a file's weights begin.
    before, after = expert(images()), again(images())
    torch.testing.assert_close(after.logits, before.logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(after.patch_logits, before.patch_logits, rtol=0, atol=1e-5)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == (
        "aligngemini-pixel-expert"
    )


def test_weights_on_disk_keep_the_names_of_released_backbones(tmp_path):
    tiny_expert().save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        names = set(file.keys())
    assert "backbone.encoder.layer.0.attention.attention.query.weight" in names
    assert {"head.weight", "head.bias"} <= names


@pytest.mark.parametrize("family", ["dinov2", "dinov3_vit"])
@torch.no_grad()
def test_a_local_backbone_is_taken_whole_and_the_head_is_fresh(family, tmp_path):
    torch.manual_seed(1)
    backbone = AutoModel.from_config(tiny_config(family)).eval()
    backbone.save_pretrained(tmp_path)
    expert = PixelExpert.from_backbone(str(tmp_path)).eval()
    pixels = images()
    expected = backbone(pixels).last_hidden_state[:, 0]
    torch.testing.assert_close(expert(pixels).features, expected, rtol=0, atol=0)
    assert_fresh(expert)


@pytest.mark.parametrize(
    ("config", "model"), [(CLIPConfig, CLIPModel), (SiglipConfig, SiglipModel)]
)
@torch.no_grad()
def test_of_a_model_of_pictures_and_texts_the_tower_is_taken(config, model, tmp_path):
    torch.manual_seed(1)
    family = TOWERS[model is SiglipModel]
    vision = tiny_config(family).to_dict()
    text = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "vocab_size": 50}
    whole = model(config(vision_config=vision, text_config={**text, "num_attention_heads": 2}))
    whole.eval().save_pretrained(tmp_path)
    expert = PixelExpert.from_backbone(str(tmp_path)).eval()
    pixels = images()
    expected = whole.vision_model(pixels).pooler_output
    torch.testing.assert_close(expert(pixels).features, expected)
    assert_fresh(expert)


def assert_fresh(expert):
    assert expert.head.bias.tolist() == [0.0]
    weights = expert.head.weight.detach()
    assert weights.shape == (1, 32)
    assert 0.005 < weights.std() < 0.05


def test_a_backbone_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        PixelExpert.from_backbone(str(tmp_path / "nowhere"))


def test_a_new_expert_starts_with_the_published_head():
    torch.manual_seed(0)
    expert = PixelExpert(PixelExpertConfig(tiny_config("dinov2", hidden_size=256)))
    assert expert.head.bias.tolist() == [0.0]
    assert expert.head.weight.std().item() == pytest.approx(0.02, rel=0.2)


def test_a_config_of_plain_values_is_a_backbone_config():
    config = PixelExpertConfig({"model_type": "dinov2", "hidden_size": 48, "patch_size": 8})
    assert (config.backbone_config.model_type, config.backbone_config.hidden_size) == ("dinov2", 48)


def test_block_linears_are_those_of_the_blocks(family):
    names = block_linears(tiny_expert(family).backbone)
    # Query, key, value, output and two of the MLP, of each of the two blocks.
    assert len(names) == 12
    assert len({name.rsplit(".", 1)[-1] for name in names}) == 6
    assert not any("head" in name or "embed" in name for name in names)


def test_block_linears_of_a_gated_mlp():
    expert = tiny_expert("dinov2", use_swiglu_ffn=True)
    # transformers 5 splits the gate from the values; 4 keeps them in one layer.
    assert len(block_linears(expert.backbone)) in (12, 14)


@torch.no_grad()
def test_graph_goes_from_bytes_to_logits():
    expert = tiny_expert()
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 24, 3), dtype=np.uint8)
    logit, patches = ExpertGraph(expert, mean, std)(torch.from_numpy(pixels))
    normalised = (pixels / 255 - np.array(mean)) / np.array(std)
    expected = expert(torch.from_numpy(normalised.transpose(0, 3, 1, 2)).float())
    torch.testing.assert_close(logit, expected.logits)
    torch.testing.assert_close(patches, expected.patch_logits)
    assert patches.shape == (2, 4, 3)


@torch.no_grad()
def test_graph_in_half_precision_still_gives_float32():
    graph = ExpertGraph(tiny_expert().bfloat16(), (0.5,) * 3, (0.5,) * 3)
    logit, patches = graph(torch.zeros(1, 16, 16, 3, dtype=torch.uint8))
    assert (logit.dtype, patches.dtype) == (torch.float32, torch.float32)


def test_every_named_backbone_is_a_repository():
    assert all(name.count("/") == 1 for name in BACKBONES.values())
