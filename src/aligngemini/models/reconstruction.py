"""A photo through an autoencoder and back: its content kept, its pixels made by a decoder."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from aligngemini.models.autoencoders import Taef2

Pixels = npt.NDArray[np.uint8]

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

_PROBE = 64  # pixels a side; more than any VAE for pictures reduces to one latent


class VaeError(Exception):
    """A VAE that cannot be opened; the message says what to do."""


class Unreconstructed(NamedTuple):
    """Why an image has no reconstruction."""

    code: str
    reason: str


class Vae:
    """An autoencoder between images.

    Attributes:
        name: For folders and manifests: a short name, or the last part of a repository or path.
        revision: Of a Hub repository the commit, of local files the SHA-256 of the weights.
        dtype: What it computes in: `fp32`, `fp16` or `bf16`.
        factor: Sides of images must be multiples of this, pixels.
        has_posterior: Whether its latents are a distribution, or one value.
    """

    def __init__(self, module: nn.Module, *, name: str, revision: str, unit_range: bool) -> None:
        """Take over a module.

        Args:
            module: TAEF2, or a diffusers VAE, on its device and in its precision.
            name: See the attributes.
            revision: See the attributes.
            unit_range: Whether the module's images lie in [0, 1] instead of [-1, 1].

        Raises:
            VaeError: The module does not map pictures to latents.
        """
        self.module = module
        self.name = name
        self.revision = revision
        weight = next(module.parameters())
        self._device, self._dtype = weight.device, weight.dtype
        self.dtype = next(name for name, dtype in DTYPES.items() if dtype == weight.dtype)
        self._unit_range = unit_range
        try:
            with torch.inference_mode():
                mean, std = self._encode(torch.zeros(1, 3, _PROBE, _PROBE))
        except (AttributeError, RuntimeError, TypeError, ValueError) as error:
            kind = type(module).__name__
            raise VaeError(f"{name}: a {kind} cannot encode pictures ({error})") from error
        self.has_posterior = std is not None
        # FLUX.2 generates on latents packed two by two, so its images divide by twice the VAE's 8.
        packed = getattr(getattr(module, "config", None), "patch_size", None)
        self.factor = _PROBE // int(mean.shape[-1]) * (int(packed[0]) if packed else 1)

    @torch.inference_mode()
    def reconstruct(
        self, images: Pixels, *, seeds: Sequence[int] | None = None
    ) -> list[Pixels | Unreconstructed]:
        """Encode and decode a batch.

        Latent scaling and shift are left out: on before decoding they would only be taken off
        again. An image's result does not depend on the others, up to the rounding of kernels that
        work on batches of other sizes.

        Args:
            images: (N, H, W, 3) uint8 RGB; H and W multiples of `factor`.
            seeds: One an image: its latents are drawn from the posterior with noise of that seed,
                the same on every device. None takes the mean of the posterior.

        Returns:
            For each image (H, W, 3) uint8, or why there is none: `not-finite` where the precision
            overflowed, `out-of-memory` where one image alone does not fit the GPU.
        """
        try:
            return self._reconstruct(images, seeds)
        except torch.OutOfMemoryError:
            if len(images) == 1:
                reason = f"{self.name}: {images.shape[2]} x {images.shape[1]} pixels do not fit"
                return [Unreconstructed("out-of-memory", reason)]
        half = len(images) // 2  # outside `except`, which would keep the failed batch alive
        parts = (slice(None, half), slice(half, None))
        return [
            result
            for part in parts
            for result in self.reconstruct(images[part], seeds=seeds and seeds[part])
        ]

    def _reconstruct(
        self, images: Pixels, seeds: Sequence[int] | None
    ) -> list[Pixels | Unreconstructed]:
        inputs = torch.tensor(images).permute(0, 3, 1, 2).float() / 255
        latents, std = self._encode(inputs if self._unit_range else inputs * 2 - 1)
        if std is not None and seeds is not None:
            noise = [
                torch.randn(latents.shape[1:], generator=torch.Generator().manual_seed(seed))
                for seed in seeds
            ]
            latents = latents + std * torch.stack(noise).to(latents)
        outputs = self._decode(latents).float()
        finite = outputs.isfinite().flatten(1).all(1).tolist()
        if not self._unit_range:
            outputs = (outputs + 1) / 2
        pixels = (outputs.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        reason = f"{self.name} gives no finite numbers in {self.dtype}; give another --dtype"
        return [
            image if good else Unreconstructed("not-finite", reason)
            for image, good in zip(pixels.contiguous().cpu().numpy(), finite, strict=True)
        ]

    def _encode(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Latents (N, C, h, w), and the posterior's standard deviation where there is one."""
        inputs = inputs.to(self._device, self._dtype)
        if isinstance(self.module, Taef2):
            return self.module.encoder(inputs), None
        encoded = self.module.encode(inputs)  # type: ignore[operator]  # diffusers' interface
        posterior = getattr(encoded, "latent_dist", None)
        if posterior is not None:
            return posterior.mean, posterior.std
        return (encoded.latents if hasattr(encoded, "latents") else encoded.latent), None

    def _decode(self, latents: Tensor) -> Tensor:
        if isinstance(self.module, Taef2):
            images: Tensor = self.module.decoder(latents)
        else:
            images = self.module.decode(latents).sample  # type: ignore[operator]
        return images
