"""What a manipulation set is made of and with."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal, Protocol

from aligngemini.datasets.manipulation_set import KINDS, ManipulationSetError
from aligngemini.datasets.manipulations.base import Mask
from aligngemini.datasets.manipulations.blending import BLENDS, Blend
from aligngemini.datasets.manipulations.inpaint import Painter
from aligngemini.datasets.manipulations.masks import AREA, Area
from aligngemini.datasets.manipulations.vae_region import Autoencoder
from aligngemini.images.sources import Item

LEAST_SIDE = 64  # pixels; smaller images cannot be judged


class NamedVae(Autoencoder, Protocol):
    """An autoencoder that says what it is."""

    name: str
    revision: str


class NamedPainter(Painter, Protocol):
    """An inpainting model that says what it is."""

    name: str
    revision: str


class MaskSource(Protocol):
    """Where regions come from, if they are not drawn; see `manipulations.mask_files`."""

    def regions(self, path: str, height: int, width: int) -> list[Mask]:
        """The regions of a photo of this size."""


@dataclass(frozen=True)
class ManipulationSetConfig:
    """What a set is made of, beside photos and models. Numbers are this project's choice.

    Attributes:
        kinds: Manipulations, some of `KINDS`.
        per_photo: Edited copies of each photo; None makes one of each kind.
        area: Least and most share of the image that is edited.
        blends: Ways to join an edited region to its photo, drawn each time.
        align_jpeg: Probability that generated pixels get the compression of their photo's file.
        colour: Probability that a spliced region's colours are brought closer to its new place's.
        perturb: Probability that an image, edited or not, is perturbed.
        moved_label: Image label where pixels were moved and none generated.
        max_side: Longest side kept of a photo, pixels, around its centre; None keeps all.
        val_share: Share of the photos whose `split` is `val`, 0 to 1.
        seed: Of every draw, 0 or more.
    """

    kinds: tuple[str, ...]
    per_photo: int | None = None
    area: Area = AREA
    blends: tuple[Blend, ...] = BLENDS
    align_jpeg: float = 0.5
    colour: float = 0.5
    perturb: float = 0.0
    moved_label: Literal["fake", "real"] = "fake"
    max_side: int | None = 1024
    val_share: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if strangers := set(self.kinds) - set(KINDS):
            raise ManipulationSetError(f"there is no manipulation {min(strangers)!r}")
        if self.max_side is not None and self.max_side < LEAST_SIDE:
            raise ManipulationSetError(
                f"max_side must be {LEAST_SIDE} or more pixels, not {self.max_side}"
            )
        if not 0 < self.area[0] < self.area[1] < 1:
            raise ManipulationSetError(
                f"the area's limits must lie between 0 and 1, the lower first, not {self.area}"
            )


@dataclass(frozen=True)
class Tools:
    """What manipulations work with.

    Attributes:
        vaes: For `vae-region` and `full`, drawn each time.
        painter: For `inpaint`.
        masks: Regions; None draws them.
        donors: Photos for `splice`.
        turn: Held while a model works: they serve one thread at a time.
    """

    vaes: Sequence[NamedVae] = ()
    painter: NamedPainter | None = None
    masks: MaskSource | None = None
    donors: Sequence[Item] = ()
    turn: Lock = field(default_factory=Lock, compare=False)
