"""Labelled images of the world, for training and for testing: one axis decides, the other is still.

All sets are drawn in pairs that differ in nothing but their axis: a scene and its broken twin, a
photo and its reconstruction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aligngemini.experiments.world.decoders import reconstruct
from aligngemini.experiments.world.drawing import SIDE, render
from aligngemini.experiments.world.scene import GROSS, Scene, draw_scene
from aligngemini.images.degrade import Pixels, SemanticChain, reencode, rescale, semantic_chain
from aligngemini.models.reconstruction import Vae

CHAIN = SemanticChain(scale=(0.5, 0.8), noise=(2.0, 8.0), blur=(0.2, 0.7), quality=(40, 80))
"""Milder than for photos of full size: at a hundred pixels a side little may be lost."""


@dataclass(frozen=True)
class LabelledImages:
    """Images and what is true of them.

    Attributes:
        pixels: (N, side, side, 3) uint8 RGB.
        fake: (N,) whether the rule is broken or a decoder made the pixels.
    """

    pixels: Pixels
    fake: npt.NDArray[np.bool_]

    def by_lot(self, rng: np.random.Generator) -> "LabelledImages":
        """The same images with labels that mean nothing: exchanged in half of the pairs.

        Exactly half: labels shuffled freely would be a little more right than wrong, or the other
        way round, and a model that sees well would learn that.

        Args:
            rng: Draws the pairs.
        """
        pairs = len(self.fake) // 2
        exchanged = rng.permutation(pairs) < pairs // 2
        return LabelledImages(self.pixels, self.fake ^ np.repeat(exchanged, 2))


def scenes(
    rng: np.random.Generator,
    count: int,
    rules: Sequence[str],
    grades: tuple[float, float] = GROSS,
) -> list[Scene]:
    """Scenes that obey their rules, the rules in turn."""
    return [draw_scene(rng, rules[k % len(rules)], obeys=True, grades=grades) for k in range(count)]


def photos(of: Sequence[Scene], side: int = SIDE) -> Pixels:
    """(N, side, side, 3) uint8: the scenes as a camera took them."""
    return np.stack([render(scene, side) for scene in of])


def semantic_set(
    rng: np.random.Generator,
    of: Sequence[Scene],
    *,
    side: int = SIDE,
    chain: SemanticChain | None = CHAIN,
) -> LabelledImages:
    """Each scene and its broken twin, both worn down alike.

    Args:
        rng: Of the degradation.
        of: Scenes that obey.
        side: Of the images, pixels.
        chain: What wears them down; None leaves them as they were taken.
    """
    pixels = _interleaved(photos(of, side), photos([scene.twin() for scene in of], side))
    if chain is not None:
        # One seed a pair: a scene and its twin are degraded alike, down to the noise.
        seeds = np.repeat(rng.integers(1 << 62, size=len(of)), 2)
        worn = [
            semantic_chain(image, np.random.default_rng(seed), chain)[0]
            for image, seed in zip(pixels, seeds, strict=True)
        ]
        pixels = np.stack(worn)
    return LabelledImages(pixels, np.arange(len(pixels)) % 2 == 1)


def pixel_set(
    rng: np.random.Generator,
    of: Sequence[Scene],
    decoder: Vae,
    *,
    side: int = SIDE,
    quality: tuple[int, int] | None = (85, 98),
) -> LabelledImages:
    """Each photo and its reconstruction, both saved alike.

    Args:
        rng: Of the quality.
        of: Scenes.
        decoder: What reconstructs.
        side: Of the images, pixels.
        quality: Range of JPEG's, one a pair; None saves nothing.
    """
    taken = photos(of, side)
    pixels = _interleaved(taken, reconstruct(decoder, taken))
    if quality is not None:
        levels = np.repeat(rng.integers(*quality, size=len(of)), 2)
        files = [reencode(image, int(level)) for image, level in zip(pixels, levels, strict=True)]
        pixels = np.stack(files)
    return LabelledImages(pixels, np.arange(len(pixels)) % 2 == 1)


def post_processed(images: LabelledImages) -> LabelledImages:
    """What a platform does to all alike: three quarters of the size, JPEG 60, back again."""
    side = images.pixels.shape[1]
    sent = [reencode(rescale(image, 0.75), 60) for image in images.pixels]
    back = [rescale(image, side / image.shape[0]) for image in sent]
    return LabelledImages(np.stack(back), images.fake)


def saved(pixels: Pixels, quality: int) -> Pixels:
    """All of (N, side, side, 3) uint8 images through JPEG of one quality."""
    return np.stack([reencode(image, quality) for image in pixels])


def joined(*parts: LabelledImages) -> LabelledImages:
    """All of them as one set."""
    pixels = np.concatenate([part.pixels for part in parts])
    return LabelledImages(pixels, np.concatenate([part.fake for part in parts]))


def _interleaved(first: Pixels, second: Pixels) -> Pixels:
    return np.stack([first, second], axis=1).reshape(-1, *first.shape[1:])
