"""Autoencoders whose reconstructions stand in for a generator's pixels.

TAEF2 (madebyollin/taesd, MIT) distils the FLUX.2 autoencoder into 1.3 M parameters a side. Its
layout has group-normalised pooling blocks that diffusers' `AutoencoderTiny` does not know, so the
module is written here; weights are the user's own files.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

CHANNELS = 64
LATENTS = 32
FACTOR = 8


class _Clamp(nn.Module):
    def forward(self, latents: Tensor) -> Tensor:
        return torch.tanh(latents / 3) * 3


class _Block(nn.Module):
    """Three convolutions around a shortcut; the innermost blocks add a bottleneck before them."""

    def __init__(self, bottleneck: bool) -> None:
        super().__init__()
        self.conv = nn.Sequential(_conv(), nn.ReLU(), _conv(), nn.ReLU(), _conv())
        if bottleneck:
            self.pool = nn.Sequential(
                nn.Conv2d(CHANNELS, 4 * CHANNELS, 1, bias=False),
                nn.GroupNorm(4, 4 * CHANNELS),
                nn.ReLU(),
                nn.Conv2d(4 * CHANNELS, CHANNELS, 1, bias=False),
            )
        self.bottleneck = bottleneck

    def forward(self, features: Tensor) -> Tensor:
        if self.bottleneck:
            features = features + self.pool(features)
        return torch.relu(self.conv(features) + features)


def _conv(
    inputs: int = CHANNELS, outputs: int = CHANNELS, *, stride: int = 1, bias: bool = True
) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=bias)


class Taef2(nn.Module):
    """TAEF2: images in [0, 1] to 32 latent channels at an eighth of the size, and back."""

    def __init__(self) -> None:
        super().__init__()
        encoder: list[nn.Module] = [_conv(3), _Block(False)]
        decoder: list[nn.Module] = [_Clamp(), _conv(LATENTS), nn.ReLU()]
        for level in range(3):
            innermost = level == 2
            encoder += [_conv(stride=2, bias=False), *(_Block(innermost) for _ in range(3))]
            decoder += [*(_Block(level == 0) for _ in range(3))]
            decoder += [nn.Upsample(scale_factor=2), _conv(bias=False)]
        self.encoder = nn.Sequential(*encoder, _conv(outputs=LATENTS))
        self.decoder = nn.Sequential(*decoder, _Block(False), _conv(outputs=3))

    @classmethod
    def load(cls, folder: Path) -> "Taef2":
        """Read `taef2_encoder.pth` and `taef2_decoder.pth`.

        Raises:
            FileNotFoundError: One of them is not in the folder.
            RuntimeError: They hold another network.
        """
        model = cls()
        for part in ("encoder", "decoder"):
            file = folder / f"taef2_{part}.pth"
            weights = torch.load(file, weights_only=True, map_location="cpu")
            getattr(model, part).load_state_dict(weights)
        return model.float().eval()

    def forward(self, images: Tensor) -> Tensor:
        """Reconstruct (N, 3, H, W) in [0, 1]; sides divide by 8. May overshoot [0, 1] a little."""
        reconstruction: Tensor = self.decoder(self.encoder(images))
        return reconstruction
