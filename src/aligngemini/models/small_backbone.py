"""The small backbone of GAMMA: light enough for a CPU, trained from random weights.

It sees band-pass residuals, as the compact expert does, and how strong they are, but not the
picture itself: what is shown only distracts, and slows learning down a lot. It answers on two
grids, a coarse one with a wide view for what a region is, a fine one for where it ends.
"""

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aligngemini.models.compact import Layer, ResidualBank

FLOOR = 1e-3  # of a plane's mean square; flat areas have none


@dataclass(frozen=True)
class SmallConfig:
    """What the network is built from.

    Attributes:
        fine: Channels of the layers up to the fine grid.
        fine_strides: Their strides; the fine grid's stride is their product.
        coarse: Channels of the layers from there to the coarse grid.
        coarse_strides: Likewise.
        dilations: Of the context blocks on the coarse grid, in its cells; one block each.
        bands: Band-pass residuals taken from the input, finest first, 1 to 3.
    """

    fine: tuple[int, ...] = (16, 16, 32, 32, 64, 64)
    fine_strides: tuple[int, ...] = (1, 2, 1, 2, 1, 2)
    coarse: tuple[int, ...] = (128, 128)
    coarse_strides: tuple[int, ...] = (2, 1)
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    bands: int = 3


class ContextBlock(nn.Module):
    """A dilated convolution in a bottleneck, added to its input."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        narrow = channels // 2
        self.layers = nn.Sequential(
            nn.Conv2d(channels, narrow, 1, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
            nn.Conv2d(narrow, narrow, 3, 1, dilation, dilation, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
            nn.Conv2d(narrow, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, h, w) to the same shape."""
        return F.relu(features + self.layers(features))


class SmallBackbone(nn.Module):
    """Residuals, convolutions to two grids, context blocks on the coarse one.

    Attributes:
        channels: Of the coarse features.
        stride: Pixels that a cell of the coarse grid spans, a side.
        skip_channels: Of the fine features.
        skip_stride: Likewise for the fine grid.
    """

    def __init__(self, config: SmallConfig) -> None:
        """Build with random weights."""
        super().__init__()
        self.bank = ResidualBank(config.bands, picture=False)
        fine = (self.bank.channels, *config.fine)
        self.fine = nn.Sequential(*map(Layer, fine, config.fine, config.fine_strides))
        self.skip_channels = config.fine[-1] + self.bank.channels
        coarse = (2 * self.skip_channels, *config.coarse)
        self.coarse = nn.Sequential(
            *map(Layer, coarse, config.coarse, config.coarse_strides),
            *(ContextBlock(config.coarse[-1], dilation) for dilation in config.dilations),
        )
        self.skip_stride = prod(config.fine_strides)
        self.channels = config.coarse[-1]
        self.stride = self.skip_stride * prod(config.coarse_strides)

    def forward(self, pixels01: Tensor) -> tuple[Tensor, Tensor]:
        """Look at pictures.

        Args:
            pixels01: (N, 3, H, W) in [0, 1]; sides divide by `stride`.

        Returns:
            Coarse (N, channels, H / stride, W / stride) and fine
            (N, skip_channels, H / skip_stride, W / skip_stride) features.
        """
        planes = self.bank(255 * pixels01)
        # How much there is of each band, place by place: noise and sharpness, which a network
        # learns to measure only slowly.
        energy = torch.log(F.avg_pool2d(planes.float().square(), self.skip_stride) + FLOOR)
        # Convolutions on the CPU are several times faster with the channels innermost.
        fine = self.fine(planes.contiguous(memory_format=torch.channels_last))
        skip = torch.cat([fine, energy.to(fine.dtype)], 1)
        # What a place shows beside what it shows compared with the rest of the picture: a foreign
        # region is one that differs.
        compared = torch.cat([skip, F.instance_norm(skip)], 1)
        return self.coarse(compared), skip
