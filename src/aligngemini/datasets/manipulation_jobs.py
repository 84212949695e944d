"""What is done to one photo of the manipulation set, and by which draws."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from aligngemini.datasets.manipulation_photos import CutPhoto, load_photo
from aligngemini.datasets.manipulation_set import ManipulationSetError
from aligngemini.datasets.manipulation_settings import ManipulationSetConfig, Tools
from aligngemini.datasets.manipulations import (
    Manipulated,
    ManipulationError,
    copy_move,
    draw_mask,
    inpaint,
    inpaint_classical,
    splice,
    vae_region,
)
from aligngemini.datasets.manipulations.base import Mask
from aligngemini.datasets.manipulations.blending import Edge
from aligngemini.datasets.manipulations.classical import METHODS
from aligngemini.datasets.manipulations.masks import Area, area_share
from aligngemini.datasets.photos import Failure
from aligngemini.datasets.pixel_set_files import in_validation
from aligngemini.images.decode import read_bytes
from aligngemini.images.item import ImageError, digest
from aligngemini.images.jpeg import JpegSettings

MOST_COPIED = 0.25  # share of the photo that a copied region has: more finds no other place
DONOR_AREA = (0.02, 0.7)  # of the donor; what counts is the share of the photo it is laid on
DONOR_TRIES = 20
TRIES = 5  # with other regions, where one finds no place
RADIUS = (1.0, 8.0)  # of feathered edges, pixels


@dataclass(frozen=True)
class Made:
    """An edited photo, and what the manifest says of it.

    Attributes:
        image: Pixels and masks.
        generator: What made the generated pixels.
        drawn: What was drawn, by name.
    """

    image: Manipulated
    generator: str = ""
    drawn: dict[str, str | float] = field(default_factory=dict)


def plan(sha256: str, config: ManipulationSetConfig) -> list[tuple[str, int]]:
    """Kind and number of each edited copy of a photo, the kinds in an order of the photo's own."""
    order = job_rng(config.seed, sha256).permutation(config.kinds)
    kinds = len(order)
    count = kinds if config.per_photo is None or not kinds else config.per_photo
    return [(str(order[k % kinds]), k // kinds) for k in range(count)]


def job_rng(*names: str | int) -> np.random.Generator:
    """A generator of draws that follow from these names alone."""
    digested = hashlib.sha256("\n".join(map(str, names)).encode()).hexdigest()
    return np.random.default_rng(int(digested, 16))


def manipulate(
    cut: CutPhoto, kind: str, number: int, config: ManipulationSetConfig, tools: Tools
) -> Made:
    """Edit a photo.

    Args:
        cut: The photo.
        kind: One of `KINDS`.
        number: Of this copy among those of its kind.
        config: Settings.
        tools: Models, masks and donors.

    Raises:
        ManipulationError: It cannot be done to this photo.
    """
    job = _Job(cut, config, tools, job_rng(config.seed, cut.photo.sha256, kind, number))
    edits = {
        "vae-region": job.vae_region,
        "inpaint": job.inpaint,
        "inpaint-classical": job.inpaint_classical,
        "copy-move": job.copy_move,
        "splice": job.splice,
        "full": job.full,
    }
    made = _with_other_draws(edits[kind])
    share = area_share(made.image.generated | made.image.moved)
    drawn = {**made.image.drawn, **made.drawn, "area": share}
    rounded = {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in drawn.items()
    }
    return Made(made.image, made.generator, rounded)


def _with_other_draws(edit: Callable[[], Made], tries: int = TRIES) -> Made:
    """Try again where a drawn region found no place: the next draw may."""
    try:
        return edit()
    except ManipulationError as error:
        if error.code != "no-place" or tries == 1:
            raise
    return _with_other_draws(edit, tries - 1)


@dataclass(frozen=True)
class _Job:
    """One edit of one photo."""

    cut: CutPhoto
    config: ManipulationSetConfig
    tools: Tools
    rng: np.random.Generator

    @cached_property
    def edge(self) -> Edge:
        how = self.config.blends[int(self.rng.integers(len(self.config.blends)))]
        return Edge(how, round(float(self.rng.uniform(*RADIUS)), 2))

    @cached_property
    def jpeg(self) -> JpegSettings | None:
        """How to compress generated pixels, this time."""
        return self.cut.photo.jpeg if self.rng.random() < self.config.align_jpeg else None

    def vae_region(self) -> Made:
        return self._reconstruct(self._region(self.cut, self.config.area), self.edge)

    def full(self) -> Made:
        everything = np.ones(self.cut.photo.pixels.shape[:2], np.bool_)
        return self._reconstruct(everything, Edge("hard"))

    def _reconstruct(self, region: Mask, edge: Edge) -> Made:
        if not self.tools.vaes:
            raise ManipulationSetError("a VAE is needed")
        vae = self.tools.vaes[int(self.rng.integers(len(self.tools.vaes)))]
        pixels, jpeg = self.cut.photo.pixels, self.jpeg
        with self.tools.turn:
            image = vae_region(pixels, region, vae, self.rng, edge=edge, jpeg=jpeg)
        return Made(image, vae.name, self._said_of(vae.revision))

    def inpaint(self) -> Made:
        painter = self.tools.painter
        if painter is None:
            raise ManipulationSetError("an inpainting model is needed")
        region = self._region(self.cut, self.config.area)
        pixels, edge, jpeg = self.cut.photo.pixels, self.edge, self.jpeg
        with self.tools.turn:
            image = inpaint(pixels, region, painter, self.rng, edge=edge, jpeg=jpeg)
        return Made(image, painter.name, self._said_of(painter.revision))

    def _said_of(self, revision: str) -> dict[str, str | float]:
        return {"generator_revision": revision, "jpeg_aligned": int(self.jpeg is not None)}

    def inpaint_classical(self) -> Made:
        method = METHODS[int(self.rng.integers(len(METHODS)))]
        region = self._region(self.cut, self.config.area)
        return Made(inpaint_classical(self.cut.photo.pixels, region, method=method))

    def copy_move(self) -> Made:
        low, high = self.config.area
        region = self._region(self.cut, (low, MOST_COPIED if low < MOST_COPIED < high else high))
        return Made(
            copy_move(
                self.cut.photo.pixels, region, self.rng, edge=self.edge, area=self.config.area
            )
        )

    def splice(self) -> Made:
        donor, region = self._donor()
        colour = float(self.rng.uniform(0.3, 1.0))
        image = splice(
            self.cut.photo.pixels,
            donor.photo.pixels,
            region,
            self.rng,
            edge=self.edge,
            area=self.config.area,
            colour=colour if self.rng.random() < self.config.colour else 0.0,
        )
        return Made(image, drawn={"donor_sha256": donor.photo.sha256})

    def _region(self, cut: CutPhoto, area: Area) -> Mask:
        """A region of a photo: one of those that somebody marked, or a drawn one."""
        if self.tools.masks is None:
            height, width = cut.photo.pixels.shape[:2]
            return draw_mask(height, width, self.rng, area)
        try:
            regions = self.tools.masks.regions(cut.photo.path, cut.height, cut.width)
        except ManipulationSetError as error:
            raise ManipulationError("mask", str(error)) from error
        cuts = [cut.cut(region) for region in regions]
        fitting = [region for region in cuts if area[0] <= area_share(region) <= area[1]]
        if not fitting:
            reason = "none of its masks covers" if regions else "it has no mask that covers"
            raise ManipulationError(
                "no-mask", f"{reason} {area[0]:.0%} to {area[1]:.0%} of the image"
            )
        return fitting[int(self.rng.integers(len(fitting)))]

    def _donor(self) -> tuple[CutPhoto, Mask]:
        """Another photo and a region of it; for training never one kept for validation."""
        donors, share = self.tools.donors, self.config.val_share
        photo = self.cut.photo.sha256
        for _ in range(DONOR_TRIES if donors else 0):
            item = donors[int(self.rng.integers(len(donors)))]
            try:
                other = digest(read_bytes(item.path)) or ""
            except ImageError:
                continue
            if other == photo or in_validation(other, share) > in_validation(photo, share):
                continue
            donor = load_photo(-1, item, self.config.max_side)
            if isinstance(donor, Failure):
                continue
            try:
                return donor, self._region(donor, DONOR_AREA)
            except ManipulationError:
                continue
        raise ManipulationError("no-donor", "no other photo was found to take a region from")
