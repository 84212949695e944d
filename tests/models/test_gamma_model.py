"""GAMMA's parts: what they give, what switches take away, and how it is stored."""

import pytest
import torch
from fixtures.backbones import FAMILIES, tiny_config
from fixtures.gammas import SMALL, small_gamma, tiny_gamma
from torch.nn import functional as F

from aligngemini.models import gamma as module
from aligngemini.models.gamma import ABSENT, Gamma, GammaConfig, GammaGraph
from aligngemini.models.small_backbone import SmallConfig

NO_MEAN, UNIT = (0.0,) * 3, (1.0,) * 3


def pixels(side=64, count=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


def graph(model):
    return GammaGraph(model, NO_MEAN, UNIT).eval()


@torch.no_grad()
def outputs(model, images):
    return graph(model)(images)


@pytest.mark.parametrize("family", [None, *FAMILIES])
def test_a_logit_and_two_maps_at_the_map_stride(family):
    model = small_gamma() if family is None else tiny_gamma(family)
    logit, generated, moved = outputs(model, pixels())
    assert (logit.shape, generated.shape, moved.shape) == ((2,), (2, 16, 16), (2, 16, 16))
    assert not torch.allclose(logit[0], logit[1])
    assert not torch.allclose(generated, moved)


@pytest.mark.parametrize("family", [None, "dinov2"])
def test_saved_and_loaded_gives_the_same_numbers(family, tmp_path):
    model = small_gamma() if family is None else tiny_gamma(family)
    model.save_pretrained(tmp_path)
    loaded = Gamma.from_pretrained(tmp_path).eval()
    for one, other in zip(outputs(model, pixels()), outputs(loaded, pixels()), strict=True):
        torch.testing.assert_close(one, other)
    assert loaded.config.small == model.config.small
    assert loaded.config.heads == ["generated", "moved"]


def test_maps_lie_where_the_pixels_are():
    """What changes in one corner moves the maps most in that corner."""
    model = small_gamma()
    one = pixels(128, 1)
    other = one.clone()
    other[:, :32, 96:] = 255 - other[:, :32, 96:]
    before, after = outputs(model, one), outputs(model, other)
    for index in (1, 2):
        change = (before[index] - after[index]).abs()[0]
        quarters = F.avg_pool2d(change[None], 16)[0]
        assert quarters.argmax() == 1


def test_gate_at_zero_leaves_the_logit_as_it_is_without():
    torch.manual_seed(0)
    fresh = Gamma(GammaConfig(small=SMALL, decoder_width=8)).eval()
    assert fresh.reverse.gate.tolist() == [0.0]
    without = Gamma(GammaConfig(small=SMALL, decoder_width=8, reverse_attention=False)).eval()
    assert not hasattr(without, "reverse")
    without.load_state_dict(fresh.state_dict(), strict=False)
    torch.testing.assert_close(outputs(fresh, pixels())[0], outputs(without, pixels())[0])
    with torch.no_grad():
        fresh.reverse.gate.fill_(1.0)
    assert not torch.allclose(outputs(fresh, pixels())[0], outputs(without, pixels())[0])


def test_gradient_reaches_the_gate_and_through_it_the_heads():
    torch.manual_seed(0)
    model = Gamma(GammaConfig(small=SMALL, decoder_width=8))
    images = pixels().permute(0, 3, 1, 2) / 255
    model(images).logits.sum().backward()
    assert model.reverse.gate.grad.abs() > 0
    assert all(head.layer.convolution.weight.grad.abs().max() == 0 for head in model.heads.values())
    model.zero_grad()
    with torch.no_grad():
        model.reverse.gate.fill_(0.5)
    model(images).logits.sum().backward()
    assert all(head.layer.convolution.weight.grad.abs().max() > 0 for head in model.heads.values())


def test_reverse_attention_is_the_class_token_asking_the_cells():
    """Against scaled dot-product attention written out for one head."""
    torch.manual_seed(0)
    reverse = module.ReverseAttention(8, 6).eval()
    with torch.no_grad():
        reverse.gate.fill_(0.7)
    token, cells = torch.randn(3, 8), torch.randn(3, 6, 4, 5)
    attention, keys = reverse.attention, cells.flatten(2).transpose(1, 2)
    bias_q, bias_k, bias_v = attention.in_proj_bias.chunk(3)
    query = (token @ attention.q_proj_weight.T + bias_q).view(3, 4, 1, 2)
    key = (keys @ attention.k_proj_weight.T + bias_k).view(3, 20, 4, 2).transpose(1, 2)
    value = (keys @ attention.v_proj_weight.T + bias_v).view(3, 20, 4, 2).transpose(1, 2)
    shares = torch.softmax(query @ key.transpose(2, 3) / 2**0.5, dim=3)
    answer = attention.out_proj((shares @ value).reshape(3, 8))
    torch.testing.assert_close(reverse(token, cells), token + 0.7 * answer)


@pytest.mark.parametrize(("heads", "absent"), [(["moved"], 1), (["generated"], 2)])
def test_a_model_without_a_head_marks_nothing_in_its_map(heads, absent):
    found = outputs(small_gamma(heads=heads), pixels())
    assert (found[absent] == ABSENT).all()
    assert (found[3 - absent] != ABSENT).all()


def test_no_head_at_all_needs_no_reverse_attention():
    model = small_gamma(heads=[], reverse_attention=False)
    assert outputs(model, pixels())[0].shape == (2,)
    with pytest.raises(ValueError, match="needs a segmentation head"):
        Gamma(GammaConfig(small=SMALL, heads=[]))
    with pytest.raises(ValueError, match="no head named 'foreign'; known: generated, moved"):
        Gamma(GammaConfig(small=SMALL, heads=["foreign"]))


def test_sides_that_fit_backbone_and_maps():
    assert small_gamma().side_multiple == 8
    fourteen = GammaConfig(tiny_config("dinov2", patch_size=14), map_stride=4)
    assert Gamma(fourteen).side_multiple == 28


def test_pretrained_backbone_is_taken_and_the_rest_is_fresh(tmp_path):
    torch.manual_seed(0)
    donor = tiny_gamma("dinov2").backbone
    donor.save_pretrained(tmp_path)
    model = Gamma.from_backbone(str(tmp_path), decoder_width=8, heads=["moved"]).eval()
    for name, weight in donor.state_dict().items():
        torch.testing.assert_close(model.backbone.state_dict()[name], weight)
    assert list(model.heads) == ["moved"]
    assert model.classifier.bias.tolist() == [0.0]
    assert model.reverse.gate.tolist() == [0.0]


def test_pooling_weighs_cells_by_what_they_show():
    pool = module.AttentionPool(2)
    with torch.no_grad():
        pool.weight.weight.copy_(torch.tensor([10.0, 0.0]).view(1, 2, 1, 1))
    features = torch.zeros(1, 2, 2, 2)
    features[0, :, 1, 0] = torch.tensor([5.0, 3.0])
    torch.testing.assert_close(pool(features), torch.tensor([[5.0, 3.0]]))
    with torch.no_grad():
        pool.weight.weight.zero_()
    torch.testing.assert_close(pool(features), features.mean((2, 3)))


def test_the_default_is_the_small_backbone():
    config = GammaConfig()
    assert config.backbone_config is None
    assert SmallConfig(**config.small) == SmallConfig()
