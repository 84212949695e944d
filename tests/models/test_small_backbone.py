import numpy as np
import torch
from scipy.ndimage import correlate

from aligngemini.models.small_backbone import SmallBackbone, SmallConfig

TINY = SmallConfig(
    fine=(4, 6), fine_strides=(2, 2), coarse=(8,), coarse_strides=(2,), dilations=(1, 2)
)


def features(backbone, pixels):
    with torch.no_grad():
        return backbone.eval()(pixels)


def test_grids_are_what_the_attributes_say():
    for config in (TINY, SmallConfig()):
        backbone = SmallBackbone(config)
        coarse, fine = features(backbone, torch.rand(2, 3, 64, 96))
        assert coarse.shape == (2, backbone.channels, 64 // backbone.stride, 96 // backbone.stride)
        rows, columns = 64 // backbone.skip_stride, 96 // backbone.skip_stride
        assert fine.shape == (2, backbone.skip_channels, rows, columns)


def test_energies_are_the_logarithm_of_each_bands_mean_square():
    pixels = np.random.default_rng(0).random((3, 16, 24), np.float32) * 0.2 + 0.4
    backbone = SmallBackbone(TINY)
    _, fine = features(backbone, torch.from_numpy(pixels)[None])
    kernel = np.outer((1, 2, 1), (1, 2, 1)) / 16
    expected = []
    level = pixels.astype(np.float64)
    for band, gain in enumerate((20.0, 12.0, 8.0)):
        dilated = np.zeros((2 * 2**band + 1,) * 2)
        dilated[:: 2**band, :: 2**band] = kernel
        smooth = np.stack([correlate(plane, dilated, mode="constant") for plane in level])
        plane = np.clip((level - smooth) * gain, -1, 1)
        expected.append(np.log((plane**2).reshape(3, 4, 4, 6, 4).mean((2, 4)) + 1e-3))
        level = smooth
    found = fine[0, TINY.fine[-1] :].numpy()
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-3, atol=1e-3)


def test_what_a_place_shows_depends_on_the_rest_of_the_picture():
    torch.manual_seed(0)
    backbone = SmallBackbone(SmallConfig(**{**TINY.__dict__, "dilations": ()}))
    picture = torch.rand(1, 3, 64, 64)
    other = picture.clone()
    other[..., 40:] = 0.5  # far beyond what a cell at the left edge sees
    before, after = features(backbone, picture)[0], features(backbone, other)[0]
    assert (before[..., 0] - after[..., 0]).abs().max() > 1e-3


def test_bands_can_be_fewer():
    config = SmallConfig(**{**TINY.__dict__, "bands": 1})
    assert SmallBackbone(config).skip_channels == SmallBackbone(TINY).skip_channels - 6


def test_every_weight_learns():
    backbone = SmallBackbone(TINY).train()
    coarse, fine = backbone(torch.rand(2, 3, 32, 32))
    (coarse.square().mean() + fine.square().mean()).backward()
    still = {n for n, w in backbone.named_parameters() if w.grad is None or not w.grad.any()}
    assert not still
