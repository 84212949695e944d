"""How scenes are drawn: shapes on twice the grid, then texture, then a camera.

Nothing random is left here: two scenes of one seed get the same texture and the same noise.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from aligngemini.experiments.world.scene import Scene, amount
from aligngemini.images.degrade import Pixels, reencode

OVER = 2  # drawn so many times larger, then shrunk: smooth edges
SIDE = 112
Canvas = npt.NDArray[np.uint8]
Colour = npt.NDArray[np.float64]


def render(scene: Scene, side: int = SIDE) -> Pixels:
    """A picture of a scene, as a camera would have taken it.

    Args:
        scene: What to draw.
        side: Of the picture, pixels.

    Returns:
        (side, side, 3) uint8 RGB.
    """
    canvas = Drawing(scene, side * OVER)
    canvas.ground()
    getattr(canvas, scene.rule)()
    return camera(canvas.picture, scene.seed, side)


def camera(picture: Canvas, seed: int, side: int) -> Pixels:
    """Light, texture, lens, sensor, JPEG; drawn from the seed alone.

    Args:
        picture: (S, S, 3) uint8 RGB, larger than the result.
        seed: Of everything random.
        side: Of the result, pixels.
    """
    rng = np.random.default_rng(seed)
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    small *= _texture(rng, side)
    soft = np.asarray(cv2.GaussianBlur(small, (0, 0), float(rng.uniform(0.3, 0.6))), np.float32)
    noise = rng.standard_normal(small.shape, dtype=np.float32) * rng.uniform(1.0, 4.0)
    taken = np.clip(np.rint((soft + noise) * rng.uniform(0.85, 1.1)), 0, 255).astype(np.uint8)
    return reencode(taken, int(rng.integers(88, 98)), subsampling="4:4:4")


def _texture(rng: np.random.Generator, side: int) -> npt.NDArray[np.float32]:
    """(side, side, 1) around 1: grain of several widths and a light that falls off."""
    field = np.ones((side, side), np.float32)
    for cells, strength in ((side, 0.05), (side // 2, 0.05), (side // 8, 0.04), (3, 0.10)):
        grain = rng.standard_normal((cells, cells), dtype=np.float32) * np.float32(strength)
        field += cv2.resize(grain, (side, side), interpolation=cv2.INTER_CUBIC)
    return field[..., None]


class Drawing:
    """A canvas in shares of its side, y downwards, with one method a rule."""

    def __init__(self, scene: Scene, side: int) -> None:
        self.scene, self.side = scene, side
        self.picture: Canvas = np.empty((side, side, 3), np.uint8)

    def ground(self) -> None:
        """Wall or sky above, ground or water below."""
        self.picture[:] = np.round(self.scene.grounds[0])
        self._box(0, self._horizon(), 1, 1, self.scene.grounds[1])

    def support(self) -> None:
        """A thing stands on its table: its foot is as high as the table's top."""
        for k in range(2):
            x, top = self.scene.places[k], _height(self.scene.sizes[k])
            half, colour = 0.17, self.scene.grounds[2]
            self._box(x - half, top, x + half, top + 0.035, colour)
            for leg in (x - half, x + half - 0.03):
                self._box(leg, top, leg + 0.03, 0.92, colour)
        for k in range(2):
            foot = _height(self.scene.effects[k])
            self._thing(k, (self.scene.places[k], foot), (self.scene.widths[k], 0.16))

    def containment(self) -> None:
        """A drink is as wide as the inside of its glass."""
        for k in range(2):
            x, fill = self.scene.places[k], 0.16 + 0.7 * self.scene.widths[k]
            half = _half_width(self.scene.effects[k])
            self._box(x - half, 0.89 - fill, x + half, 0.89, self.scene.colours[k])
        for k in range(2):
            x, half = self.scene.places[k], _half_width(self.scene.sizes[k])
            for side in (x - half, x + half):
                self._box(side - 0.012, 0.45, side + 0.012, 0.9, self.scene.grounds[2])
            self._box(x - half, 0.89, x + half, 0.92, self.scene.grounds[2])

    def shadow(self) -> None:
        """A shadow is as long as its post is tall, by one factor for both."""
        foot, lean = 0.52, self.scene.lean
        for k in range(2):
            x, half = self.scene.places[k], self.scene.widths[k] / 2
            length = 0.14 + 0.28 * self.scene.effects[k]
            tip = x + 0.6 * lean * length
            corners = [(x - half, foot), (x + half, foot)]
            corners += [(tip + 0.8 * half, foot + length), (tip - 0.8 * half, foot + length)]
            self._polygon(corners, 0.45 * self.scene.grounds[1])
        for k in range(2):
            height = 0.14 + 0.32 * self.scene.sizes[k]
            self._thing(k, (self.scene.places[k], foot), (self.scene.widths[k], height))

    def count(self) -> None:
        """There are as many blossoms as stems."""
        for k in range(2):
            for x in _row(self.scene.places[k], amount(self.scene.sizes[k])):
                self._box(x - 0.012, 0.5, x + 0.012, 0.86, self.scene.grounds[2])
            for x in _row(self.scene.places[k], amount(self.scene.effects[k])):
                self._thing(k, (x, 0.5), (0.09, 0.11))

    def reflection(self) -> None:
        """A tower's image in the water is as tall as the tower."""
        line = self._horizon()
        for k in range(2):
            x, width = self.scene.places[k], self.scene.widths[k]
            self._thing(k, (x, line), (width, 0.10 + 0.28 * self.scene.sizes[k]))
            image = 0.6 * self.scene.colours[k] + 0.4 * self.scene.grounds[1]
            deep = 0.10 + 0.28 * self.scene.effects[k]
            self._thing(k, (x, line), (width, -deep), image)

    def _horizon(self) -> float:
        middle = {"shadow": 0.46, "reflection": 0.5}.get(self.scene.rule, 0.78)
        return middle + 0.03 * self.scene.level

    def _thing(
        self,
        k: int,
        place: tuple[float, float],
        size: tuple[float, float],
        colour: Colour | None = None,
    ) -> None:
        """A thing of the shape and colour of place `k`; a negative height hangs it upside down."""
        (x, foot), (width, height) = place, size
        half = width / 2
        colour = self.scene.colours[k] if colour is None else colour
        outline = _SHAPES[self.scene.shapes[k]]
        self._polygon([(x + half * u, foot - height * v) for u, v in outline], colour)

    def _box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self._polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def _polygon(self, corners: Sequence[tuple[float, float]], colour: Colour) -> None:
        points = np.round(np.asarray(corners) * self.side * 16).astype(np.int32)
        shade = tuple(float(level) for level in np.clip(np.round(colour), 0, 255))
        cv2.fillPoly(self.picture, [points], shade, cv2.LINE_AA, shift=4)


def _row(middle: float, count: int) -> list[float]:
    """Centres of so many neighbours."""
    return [middle + 0.105 * (number - (count - 1) / 2) for number in range(count)]


def _height(size: float) -> float:
    """Of a table's top."""
    return 0.82 - 0.52 * size


def _half_width(size: float) -> float:
    """Of a glass, or of what is in it."""
    return 0.06 + 0.13 * size


def _ball() -> list[tuple[float, float]]:
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return [(float(np.cos(turn)), float(0.5 + 0.5 * np.sin(turn))) for turn in turns]


# Outlines: from -1 to 1 across, from 0 at the foot to 1 at the top.
_SHAPES = (
    [(-1.0, 0.0), (1.0, 0.0), (1.0, 1.0), (-1.0, 1.0)],
    [(-1.0, 0.0), (1.0, 0.0), (0.45, 1.0), (-0.45, 1.0)],
    _ball(),
    [
        (-1.0, 0.0),
        (1.0, 0.0),
        (1.0, 0.6),
        (0.4, 0.75),
        (0.4, 1.0),
        (-0.4, 1.0),
        (-0.4, 0.75),
        (-1.0, 0.6),
    ],
)
