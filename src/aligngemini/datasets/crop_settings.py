"""Settings of the crops that GAMMA trains on; every number is this project's own choice."""

from dataclasses import dataclass, field

from aligngemini.datasets.pair_settings import Augmentation, Range
from aligngemini.settings import SettingsError


@dataclass(frozen=True)
class Delivery:
    """How an image reaches its reader, after everything else.

    Attributes:
        rescale: Probability that it is resized first.
        scale: Range of the factor of both sides, drawn uniformly.
        jpeg: Probability that it is saved as JPEG last.
        jpeg_quality: Range of its quality, both ends included.
    """

    rescale: float = 0.5
    scale: Range = (0.5, 1.2)
    jpeg: float = 0.7
    jpeg_quality: tuple[int, ...] = (60, 98)

    def __post_init__(self) -> None:
        if not (0 <= self.rescale <= 1 and 0 <= self.jpeg <= 1):
            raise SettingsError("delivery.rescale and delivery.jpeg must lie between 0 and 1")
        for name, low, high in (("scale", 0.05, 8), ("jpeg_quality", 1, 100)):
            values = getattr(self, name)
            if len(values) != 2 or not low <= values[0] <= values[1] <= high:
                raise SettingsError(
                    f"delivery.{name} {list(values)} is not a range of two numbers within {low} "
                    f"to {high}"
                )


@dataclass(frozen=True)
class CropSettings:
    """How crops are drawn from a manipulation set.

    Attributes:
        shares: How often each manipulation is drawn, `none` and `full` among them, as weights;
            one that is not named is not drawn. None draws all images alike.
        aim: Probability that a crop of an image with a region holds a part of the region for
            certain.
        pairs: Whether the same crop of the untouched photo comes along, treated alike, wherever the
            set has it: nothing but the edit tells the two apart.
        min_share: Share of a crop that must be marked before the crop is one of a changed image;
            a crop with less, and more than nothing, has no label.
        delivery: How the image reaches its reader.
        augmentation: Further changes before the delivery, and flips.
    """

    shares: dict[str, float] | None = None
    aim: float = 0.7
    pairs: bool = False
    min_share: float = 0.01
    delivery: Delivery = field(default_factory=Delivery)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if not (0 <= self.aim <= 1 and 0 <= self.min_share <= 1):
            raise SettingsError("aim and min_share must lie between 0 and 1")
        if self.shares is not None and (
            min(self.shares.values(), default=-1) < 0 or not sum(self.shares.values())
        ):
            raise SettingsError("shares must be weights from 0 up, one of them above 0")


@dataclass(frozen=True)
class Stage:
    """A part of a training run.

    Attributes:
        steps: Optimiser steps.
        side: Of the crops, pixels.
        crops: Crops taken of every image that is opened.
        delivery: Factor of both probabilities of the delivery, 0 to 1.
        kinds: Manipulations that are drawn, by their shares among each other; empty for all.
    """

    steps: int
    side: int
    crops: int = 1
    delivery: float = 1.0
    kinds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if min(self.steps, self.side, self.crops) < 1 or not 0 <= self.delivery <= 1:
            raise SettingsError(
                "a stage needs steps, side and crops of 1 or more and delivery in [0, 1]"
            )


@dataclass(frozen=True)
class CropShape:
    """What a crop has to fit.

    Attributes:
        map_stride: Side of one cell of the masks, pixels; divides the crop's.
        moved_is_fake: Whether moved pixels alone make a crop `fake`.
    """

    map_stride: int
    moved_is_fake: bool
