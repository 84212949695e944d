"""The compact pixel expert: two small networks, one on native crops, one on the whole image.

Both see band-pass residuals rather than the picture, so that they learn how pixels were made and
not what they show; the whole view keeps a weak copy of the picture itself. Each patch answers with
a logit and with how much it should count (attention-based pooling after Ilse et al., 2018,
arXiv 1802.04712), which lets textured patches outvote sky and walls.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# An undecimated (a trous) pyramid: binomial smoothing, dilated twice as far at each level. The
# gains bring residuals of a typical photo, in grey levels / 255, to about unit size.
_BINOMIAL = (0.25, 0.5, 0.25)
_GAINS = (20.0, 12.0, 8.0)


@dataclass(frozen=True)
class ViewConfig:
    """One view's network.

    Attributes:
        widths: Channels, layer by layer.
        strides: Likewise; a patch of the map spans their product, in pixels.
        bands: Band-pass residuals taken from the input, finest first, 1 to 3.
        picture: Whether the picture itself is an input too.
        dropout: Probability of dropping a channel before the head.
    """

    widths: tuple[int, ...]
    strides: tuple[int, ...]
    bands: int = 3
    picture: bool = False
    dropout: float = 0.2


class ResidualBank(nn.Module):
    """Fixed band-pass filters, colour channel by colour channel, clipped to [-1, 1]."""

    kernel: Tensor

    def __init__(self, bands: int, picture: bool) -> None:
        super().__init__()
        self.bands = bands
        self.picture = picture
        binomial = torch.tensor(_BINOMIAL)
        kernel = torch.outer(binomial, binomial).expand(3, 1, 3, 3).clone()
        self.register_buffer("kernel", kernel, persistent=False)

    @property
    def channels(self) -> int:
        """Of the output."""
        return 3 * (self.bands + self.picture)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 3, H, W) grey levels in [0, 255] to (N, channels, H, W) in [-1, 1]."""
        device = pixels.device.type
        narrow = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        # In bfloat16 a smoothed grey level rounds to a whole number, and the residual is lost:
        # only what the clipping leaves may be narrowed.
        with torch.autocast(device, enabled=False):
            level = pixels.float() / 255
            planes = [2 * level - 1] if self.picture else []
            for band in range(self.bands):
                reach = 2**band
                smooth = F.conv2d(level, self.kernel, padding=reach, dilation=reach, groups=3)
                planes.append((level - smooth).mul_(_GAINS[band]))
                level = smooth
            return torch.cat([F.hardtanh(plane, inplace=True).to(narrow) for plane in planes], 1)


class Layer(nn.Module):
    """Convolution, batch norm, ReLU, with a shortcut where the shape allows one."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        result = F.relu(self.norm(self.convolution(features)))
        return features + result if self.shortcut else result


class ViewNetwork(nn.Module):
    """One view: residuals, a few layers, then a logit and a weight for every patch."""

    def __init__(self, config: ViewConfig) -> None:
        super().__init__()
        self.bank = ResidualBank(config.bands, config.picture)
        inputs = (self.bank.channels, *config.widths)
        self.layers = nn.Sequential(*map(Layer, inputs, config.widths, config.strides))
        self.dropout = nn.Dropout2d(config.dropout)
        self.head = nn.Conv2d(config.widths[-1], 2, 1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) grey levels in [0, 255] to patch logits and weights, (N, h, w) each."""
        # Convolutions on the CPU are several times faster with the channels innermost.
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        logits, weights = self.head(self.dropout(self.layers(self.bank(pixels)))).unbind(1)
        return logits, weights


def pool(logits: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of patch logits.

    Args:
        logits: (B, P), P patches of one image.
        weights: (B, P), any real number; softmax makes them sum to one.

    Returns:
        (B,) logits.
    """
    return (torch.softmax(weights.float(), dim=1) * logits.float()).sum(1)


class CompactExpert(nn.Module):
    """Both views; the score's logit is the mean of the two."""

    def __init__(
        self, native: ViewConfig, whole: ViewConfig, label_smoothing: float = 0.04
    ) -> None:
        """Build with random weights.

        Args:
            native: Network for crops at native resolution.
            whole: Network for the whole image at a small size.
            label_smoothing: Training targets are pulled this far towards one half.
        """
        super().__init__()
        self.native = ViewNetwork(native)
        self.whole = ViewNetwork(whole)
        self.label_smoothing = label_smoothing

    def forward(
        self, crops: Tensor, whole: Tensor, labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Score images.

        Args:
            crops: (B, K, 3, S, S) grey levels in [0, 255], K crops an image.
            whole: (B, 3, W, W) grey levels in [0, 255].
            labels: (B,) 1 for fake, 0 for real; adds `loss`.

        Returns:
            `logits` (B,), `native` and `whole` (B,) of the views alone, and `loss` with labels.
        """
        batch = crops.shape[0]
        patch_logits, patch_weights = self.native(crops.flatten(0, 1))
        native = pool(patch_logits.reshape(batch, -1), patch_weights.reshape(batch, -1))
        whole_logits, whole_weights = self.whole(whole)
        overall = pool(whole_logits.flatten(1), whole_weights.flatten(1))
        result = {"logits": (native + overall) / 2, "native": native, "whole": overall}
        if labels is not None:
            targets = labels.float() * (1 - self.label_smoothing) + self.label_smoothing / 2
            # Each view learns alone: the stronger one must not silence the other.
            result["loss"] = F.binary_cross_entropy_with_logits(
                native, targets
            ) + F.binary_cross_entropy_with_logits(overall, targets)
        return result


class CompactGraph(nn.Module):
    """The exported form: one image's uint8 views in, logit and what each patch says out."""

    def __init__(self, expert: CompactExpert) -> None:
        super().__init__()
        self.expert = expert.eval()

    def forward(self, crops: Tensor, whole: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score one image.

        Args:
            crops: (K, S, S, 3) uint8 RGB.
            whole: (1, W, W, 3) uint8 RGB.

        Returns:
            (1,) logit; (K, h, w) logits of the crops' patches, and their weights before the
            softmax of `pool`.
        """
        native, native_weights = self.expert.native(crops.permute(0, 3, 1, 2))
        overall, overall_weights = self.expert.whole(whole.permute(0, 3, 1, 2))
        logit = pool(native.reshape(1, -1), native_weights.reshape(1, -1))
        logit = (logit + pool(overall.reshape(1, -1), overall_weights.reshape(1, -1))) / 2
        return logit, native, native_weights
