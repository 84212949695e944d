"""Settings of everything random about a photo and its reconstruction (DDA, arXiv 2505.14359)."""

from dataclasses import dataclass, field
from typing import TypeAlias

from aligngemini.settings import SettingsError

Range: TypeAlias = tuple[float, ...]


@dataclass(frozen=True)
class Alignment:
    """How close a fake is brought to its photo.

    A blend is `weight * fake + (1 - weight) * real`, and keeps the label `fake`. DDA's formula
    draws the real's weight from U(0, 0.8), its code the fake's; both orders are the other's
    inverse. Here the weight is always the fake's, and a floor keeps "fakes" that are all but
    photos out. DDA's second blend takes place in the frequencies of one DCT over the whole image.
    That transform is linear and all coefficients share one weight, so the blend is the same one in
    pixels, with the fake's weight in U(0.2, 1).

    Attributes:
        jpeg: Probability that the fake is compressed as its photo was.
        blend: Probability of the first blend.
        blend_weight: Range of the fake's weight in it; DDA's code: 0 to 0.8.
        second_blend: Probability of the second, independent of the first; which of the two comes
            first is drawn.
        second_weight: Range of the fake's weight in it.
    """

    jpeg: float = 0.5
    blend: float = 0.2
    blend_weight: Range = (0.2, 0.8)
    second_blend: float = 0.0
    second_weight: Range = (0.2, 1.0)

    def __post_init__(self) -> None:
        _check_shares(jpeg=self.jpeg, blend=self.blend, second_blend=self.second_blend)
        _check_range("blend_weight", self.blend_weight, 0, 1)
        _check_range("second_weight", self.second_weight, 0, 1)


@dataclass(frozen=True)
class Rescaling:
    """The two further sizes at which a pair is shown, by two distinct filters.

    Attributes:
        down: Range of the factor of the smaller one.
        up: Range of the factor of the larger one.
    """

    down: Range = (0.2, 1.0)
    up: Range = (1.0, 3.5)

    def __post_init__(self) -> None:
        _check_range("down", self.down, 0.01, 1)
        _check_range("up", self.up, 1, 16)


@dataclass(frozen=True)
class Augmentation:
    """What all images of a pair go through alike; the defaults are DDA's.

    Attributes:
        jpeg: Probability of JPEG.
        jpeg_quality: Range of its quality, both ends included.
        mirror: Probability of exchanging left and right.
        flip: Probability of exchanging top and bottom.
        noise: Probability of Gaussian noise.
        noise_sigma: Its standard deviation, grey levels.
        pepper: Probability of black pixels.
        pepper_share: Range of their share.
        blur: Probability of one blur out of four: Gaussian over 3 x 3 or 5 x 5 pixels (sigma 0.1
            to 2), median over 3 x 3, motion over 5 pixels in any direction.
        sharpen: Probability of unsharp masking with sigma 3.
        sharpen_amount: Range of its factor.
        jitter: Probability that brightness, contrast, saturation and hue change, in any order.
        brightness: Largest relative change.
        contrast: Likewise.
        saturation: Likewise.
        hue: Largest turn of the colour circle, in turns.
        grey: Probability that colour is taken away.
    """

    jpeg: float = 0.15
    jpeg_quality: tuple[int, ...] = (55, 100)
    mirror: float = 0.5
    flip: float = 0.5
    noise: float = 0.1
    noise_sigma: float = 55.0
    pepper: float = 0.1
    pepper_share: Range = (0.01, 0.1)
    blur: float = 0.2
    sharpen: float = 0.1
    sharpen_amount: Range = (1.0, 3.0)
    jitter: float = 0.2
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.175
    grey: float = 0.1

    def __post_init__(self) -> None:
        steps = ("jpeg", "mirror", "flip", "noise", "pepper", "blur", "sharpen", "jitter", "grey")
        changes = ("brightness", "contrast", "saturation")
        _check_shares(**{name: getattr(self, name) for name in (*steps, *changes)})
        _check_range("jpeg_quality", self.jpeg_quality, 1, 100)
        _check_range("pepper_share", self.pepper_share, 0, 1)
        _check_range("sharpen_amount", self.sharpen_amount, 0, 100)
        if not 0 <= self.hue <= 0.5:
            raise SettingsError(f"hue {self.hue} is not between 0 and 0.5")
        if not self.noise_sigma >= 0:
            raise SettingsError(f"noise_sigma {self.noise_sigma} is below 0")


@dataclass(frozen=True)
class PairSettings:
    """Everything random about a pair.

    Attributes:
        alignment: Of the fake with its photo.
        rescaling: The two further sizes; None shows a pair at its own size only.
        augmentation: Of all its images alike.
    """

    alignment: Alignment = field(default_factory=Alignment)
    rescaling: Rescaling | None = field(default_factory=Rescaling)
    augmentation: Augmentation = field(default_factory=Augmentation)


def _check_shares(**shares: float) -> None:
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise SettingsError(f"{name} {share} is not between 0 and 1")


def _check_range(name: str, values: tuple[float, ...], lowest: float, highest: float) -> None:
    if len(values) != 2 or not lowest <= values[0] <= values[1] <= highest:
        raise SettingsError(
            f"{name} {list(values)} is not a range of two numbers within {lowest} to {highest}"
        )
