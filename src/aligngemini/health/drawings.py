"""Images drawn by whole numbers alone: the same bytes on every machine and with every library.

Noise is a hash of the coordinates (multiply and shift, modulo 2**32), shapes are comparisons. No
random generator, no codec and no floating point has a say in them.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint32]


def drawings() -> dict[str, Pixels]:
    """All drawn images by name, (H, W, 3) uint8 RGB."""
    return {name: draw() for name, draw in _DRAWINGS.items()}


def landscape(height: int, width: int, seed: int, *, grain: int = 0) -> Pixels:
    """Clouds of four sizes in three colours, with grain on them.

    Args:
        height: Pixels.
        width: Pixels.
        seed: Of the noise; 0 or more.
        grain: Grey levels that a pixel may be off at the most.
    """
    channels = [_clouds(height, width, 3 * seed + channel) for channel in range(3)]
    picture = np.stack(channels, axis=-1)
    if grain:
        rows, columns = _grid(height, width)
        noise = np.stack(
            [_hash(rows, columns, 900 + 3 * seed + k) % (2 * grain + 1) for k in range(3)], axis=-1
        )
        picture = picture + noise.astype(np.int64) - grain
    return np.clip(picture, 0, 255).astype(np.uint8)


def still_life(height: int, width: int, seed: int) -> Pixels:
    """Discs with clean edges on a landscape with grain."""
    picture = landscape(height, width, seed, grain=4)
    rows, columns = (axis.astype(np.int64) for axis in _grid(height, width))
    for number in range(7):
        place = [int(_hash(np.uint32(number), np.uint32(k), 77 + seed)) for k in range(6)]
        row, column = place[0] % height, place[1] % width
        radius = min(height, width) // 12 + place[2] % (min(height, width) // 6)
        inside = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        picture[inside] = [value % 256 for value in place[3:]]
    return picture


def blocks(height: int, width: int, seed: int) -> Pixels:
    """A landscape of flat 8 x 8 squares: what is left of a picture after crude compression."""
    small = landscape(-(-height // 8), -(-width // 8), seed, grain=24)
    return np.ascontiguousarray(small.repeat(8, 0).repeat(8, 1)[:height, :width])


def _clouds(height: int, width: int, seed: int) -> npt.NDArray[np.int64]:
    """Value noise in octaves of 64, 32, 16 and 8 pixels, each half as strong as the one before."""
    total = np.zeros((height, width), np.int64)
    for octave, step in enumerate((64, 32, 16, 8)):
        total += _value_noise(height, width, step, 10 * seed + octave) * (8 >> octave)
    return total // 15


def _value_noise(height: int, width: int, step: int, seed: int) -> npt.NDArray[np.int64]:
    """Hashed levels every `step` pixels, 0 to 255, linear in between."""
    rows, columns = _grid(height // step + 2, width // step + 2)
    levels = (_hash(rows, columns, seed) % 256).astype(np.int64)
    row, down = np.divmod(np.arange(height)[:, None], step)
    column, right = np.divmod(np.arange(width)[None], step)
    above = levels[row, column] * (step - right) + levels[row, column + 1] * right
    below = levels[row + 1, column] * (step - right) + levels[row + 1, column + 1] * right
    mixed: npt.NDArray[np.int64] = (above * (step - down) + below * down) // (step * step)
    return mixed


def _grid(height: int, width: int) -> tuple[Words, Words]:
    return np.arange(height, dtype=np.uint32)[:, None], np.arange(width, dtype=np.uint32)[None]


def _hash(row: Words | np.uint32, column: Words | np.uint32, seed: int) -> Words:
    """Mix two coordinates and a seed into 32 bits; overflow is the point."""
    with np.errstate(over="ignore"):
        mixed = (
            np.asarray(row, np.uint32) * np.uint32(374761393)
            + np.asarray(column, np.uint32) * np.uint32(668265263)
            + np.uint32(seed * 2246822519 % 2**32)
        )
        mixed = (mixed ^ (mixed >> np.uint32(15))) * np.uint32(2246822519)
        mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(3266489917)
        result: Words = mixed ^ (mixed >> np.uint32(16))
    return result


_DRAWINGS: dict[str, Callable[[], Pixels]] = {
    "landscape": lambda: landscape(480, 640, 1, grain=6),
    "smooth": lambda: landscape(333, 517, 2),
    "coarse grain": lambda: landscape(384, 512, 3, grain=40),
    "still life": lambda: still_life(512, 512, 4),
    "tall": lambda: landscape(1200, 300, 5, grain=10),
    "small": lambda: still_life(170, 165, 6),
    "blocks": lambda: blocks(400, 400, 7),
    "one colour": lambda: np.full((256, 256, 3), 96, np.uint8),
}
