"""Decoders that leave their trace: linear autoencoders, fitted to the world itself in a second.

They stand for the autoencoders of image generators where those are not at hand. A convolution
whose stride is its width maps patches to a few latents, its transpose maps them back; the best
such pair for squared error is known in closed form (principal components of patches: Baldi and
Hornik, Neural Networks 2, 1989). As with the real ones, what shows is still there and the finest
of the detail is not.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aligngemini.experiments.world.drawing import render
from aligngemini.experiments.world.scene import RULES, draw_scene
from aligngemini.images.degrade import Pixels
from aligngemini.models.reconstruction import Unreconstructed, Vae, VaeError
from aligngemini.models.vaes import open_vae

LINEAR = {"linear-8": (8, 48), "linear-6": (6, 30), "linear-4": (4, 14)}
"""Side of a patch, pixels, and latents for each, by name: about four numbers become one."""

PHOTOS, PHOTO_SIDE = 100, 96
AT_ONCE = 16


class _Encoded(NamedTuple):
    latents: Tensor


class _Decoded(NamedTuple):
    sample: Tensor


class LinearAutoencoder(nn.Module):
    """Patches to their principal components and back, with the calls of a diffusers autoencoder."""

    mean: Tensor

    def __init__(self, components: Tensor, mean: Tensor) -> None:
        """Take what was fitted.

        Args:
            components: (latents, 3, side, side), orthonormal.
            mean: (3, side, side) of all patches.
        """
        super().__init__()
        self.components = nn.Parameter(components, requires_grad=False)
        self.register_buffer("mean", mean)

    def encode(self, images: Tensor) -> _Encoded:
        """(N, 3, H, W) in [-1, 1] to (N, latents, H / side, W / side)."""
        shift = torch.einsum("lcij,cij->l", self.components, self.mean)
        side = self.components.shape[-1]
        return _Encoded(F.conv2d(images, self.components, -shift, stride=side))

    def decode(self, latents: Tensor) -> _Decoded:
        """The way back."""
        images = F.conv_transpose2d(latents, self.components, stride=self.components.shape[-1])
        rows, columns = latents.shape[-2:]
        return _Decoded(images + self.mean.repeat(1, rows, columns))


def open_decoder(name: str, *, device: str = "cpu") -> Vae:
    """One of `LINEAR`, or whatever `open_vae` opens.

    Raises:
        VaeError: As `open_vae`.
    """
    if name not in LINEAR:
        return open_vae(name, device=device)
    side, latents = LINEAR[name]
    module = _fit(_photos(), side, latents).to(device)
    return Vae(module, name=name, revision="", unit_range=False)


def reconstruct(vae: Vae, images: Pixels) -> Pixels:
    """Images through a decoder and back, sizes kept.

    Args:
        vae: The autoencoder.
        images: (N, H, W, 3) uint8 RGB.

    Raises:
        VaeError: One comes out without finite numbers, or does not fit the GPU.
    """
    height, width = images.shape[1:3]
    down, right = -height % vae.factor, -width % vae.factor
    padded = np.pad(images, ((0, 0), (0, down), (0, right), (0, 0)), mode="reflect")
    found: list[Pixels] = []
    for start in range(0, len(padded), AT_ONCE):
        for result in vae.reconstruct(padded[start : start + AT_ONCE]):
            if isinstance(result, Unreconstructed):
                raise VaeError(f"{vae.name}: {result.reason}")
            found.append(result[:height, :width])
    return np.stack(found)


def _fit(photos: Pixels, side: int, latents: int) -> LinearAutoencoder:
    images = torch.from_numpy(photos).permute(0, 3, 1, 2).double() / 127.5 - 1
    patches = F.unfold(images, side, stride=side).transpose(1, 2).flatten(0, 1)
    mean = patches.mean(0)
    covariance = torch.cov(patches.T)
    components = torch.linalg.eigh(covariance).eigenvectors[:, -latents:].T
    shape = (3, side, side)
    return LinearAutoencoder(components.reshape(-1, *shape).float(), mean.reshape(shape).float())


def _photos() -> Pixels:
    """(PHOTOS, PHOTO_SIDE, PHOTO_SIDE, 3): always the same, none of any study's own scenes."""
    rng = np.random.default_rng(1989)
    rules: list[str] = rng.choice(RULES, PHOTOS).tolist()
    scenes = [draw_scene(rng, rule, obeys=True, grades=(0.1, 1.0)) for rule in rules]
    return np.stack([render(scene, PHOTO_SIDE) for scene in scenes])
