"""How an image becomes a model's input: data, so that training and detection cannot drift."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeAlias

from aligngemini.images.filters import FILTERS
from aligngemini.settings import SettingsError, from_mapping

DECODER = "pillow"
"""Codec library the pixels have to come from."""

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class CropsAndWhole:
    """The most textured native crops, and the whole image at one small size.

    Attributes:
        crop_size: Side of a native crop, pixels.
        crops: How many of the most textured crops the score rests on.
        grid: Crops along each axis at the most, among which those are chosen.
        whole_size: Side of the whole view, pixels.
        whole_filter: Pillow's resampling filter for the whole view.
    """

    kind: ClassVar = "crops-and-whole"
    crop_size: int
    crops: int
    grid: int
    whole_size: int
    whole_filter: str

    def __post_init__(self) -> None:
        if self.whole_filter not in FILTERS:
            raise SettingsError(f"whole_filter {self.whole_filter!r}; known: {', '.join(FILTERS)}")
        if min(self.crop_size, self.crops, self.grid, self.whole_size) < 1:
            raise SettingsError("crop_size, crops, grid and whole_size must be 1 at least")


@dataclass(frozen=True)
class CenterCrop:
    """One centred native crop, zeros around an image that is smaller; never resized (DDA).

    Attributes:
        crop_size: Its side, pixels.
        patch_size: The backbone's; divides `crop_size`.
        mean: Of each channel in [0, 1], subtracted.
        std: Of each channel, divided by.
    """

    kind: ClassVar = "center-crop"
    crop_size: int
    patch_size: int
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD

    def __post_init__(self) -> None:
        if self.patch_size < 1 or self.crop_size < 1 or self.crop_size % self.patch_size:
            raise SettingsError(
                f"crop_size {self.crop_size} is no multiple of patch_size {self.patch_size}"
            )
        _check_normalisation(self.mean, self.std)


@dataclass(frozen=True)
class Tiles:
    """The whole image in overlapping native tiles, for models that give maps (GAMMA).

    Attributes:
        tile_size: Side of a tile, pixels; a smaller image is mirrored until it fills one.
        map_stride: Side of one cell of the model's maps, pixels; divides `tile_size`.
        overlap: Pixels that neighbouring tiles share at least, a multiple of `map_stride`.
        max_tiles: Most tiles of one image; where there would be more, they are spread evenly and
            what lies between is not looked at.
        top_share: Share of the tiles, those with the highest logits, whose mean logit is the
            image's: 1 takes them all, 0 the highest alone.
        mean: Of each channel in [0, 1], subtracted.
        std: Of each channel, divided by.
    """

    kind: ClassVar = "tiles"
    tile_size: int
    map_stride: int
    overlap: int
    max_tiles: int = 768
    top_share: float = 0.0
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD

    def __post_init__(self) -> None:
        if self.map_stride < 1 or self.tile_size < 1 or self.tile_size % self.map_stride:
            raise SettingsError(
                f"tile_size {self.tile_size} is no multiple of map_stride {self.map_stride}"
            )
        if not 0 <= self.overlap <= self.tile_size // 2 or self.overlap % self.map_stride:
            raise SettingsError(
                f"overlap {self.overlap} must be a multiple of map_stride {self.map_stride} and "
                f"at most half of tile_size {self.tile_size}"
            )
        if self.max_tiles < 1 or not 0 <= self.top_share <= 1:
            raise SettingsError("max_tiles must be 1 at least, and top_share lie in [0, 1]")
        _check_normalisation(self.mean, self.std)


Preprocess: TypeAlias = "CropsAndWhole | CenterCrop | Tiles"

KINDS: dict[str, type[CropsAndWhole] | type[CenterCrop] | type[Tiles]] = {
    kind.kind: kind for kind in (CropsAndWhole, CenterCrop, Tiles)
}


def preprocess_from(values: Mapping[str, Any]) -> Preprocess:
    """Read what `preprocess_to` wrote.

    Raises:
        SettingsError: The kind or the decoder is unknown, or a setting does not fit the kind.
    """
    rest = dict(values)
    kind, decoder = rest.pop("kind", None), rest.pop("decoder", DECODER)
    if kind not in KINDS or decoder != DECODER:
        raise SettingsError(f"views of kind {kind!r}, decoded by {decoder!r}")
    return from_mapping(KINDS[kind], rest)


def preprocess_to(preprocess: Preprocess) -> dict[str, Any]:
    """As JSON holds it."""
    return {"kind": preprocess.kind, **asdict(preprocess), "decoder": DECODER}


def _check_normalisation(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
        raise SettingsError("mean and std need three numbers each, those of std above 0")
