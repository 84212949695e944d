"""Statistics of an image's finest grain: what its pixels say and what it shows does not.

Residuals of high-pass filters, the spectrum and the 8-pixel grid of JPEG, as in steganalysis (SPAM,
Pevny et al. 2010; rich models, Fridrich and Kodovsky 2012) and in the detection of generators by
their spectra (Durall et al. 2020). Every statistic is a ratio, so that contrast and brightness,
which belong to the motif, cancel out.
"""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]

LAGS = (1, 2, 3)
LEVELS = 2
BANDS = 24
WINDOW = 128


def traces(pixels: Pixels) -> Vector:
    """Trace statistics of an image.

    Args:
        pixels: (H, W, 3) uint8 RGB, 32 pixels a side at least.

    Returns:
        (F,) finite numbers, the same F for every size.
    """
    channels = pixels.astype(np.float32)
    grey = channels @ np.array([0.299, 0.587, 0.114], np.float32)
    parts = [_residual_statistics(residual) for residual in _residuals(grey)]
    parts += [_colour(channels), _spectrum(grey), _grid(grey)]
    return np.nan_to_num(np.concatenate(parts).astype(np.float64))


def _residuals(plane: Plane) -> list[Plane]:
    """First to third differences along both axes, and one of all eight neighbours."""
    found = []
    for axis in (0, 1):
        first = np.diff(plane, axis=axis)
        second = np.diff(first, axis=axis)
        found += [_along_rows(first, axis), _along_rows(second, axis)]
        found.append(_along_rows(np.diff(second, axis=axis), axis))
    rows = np.diff(plane, n=2, axis=0)
    found.append(np.diff(rows, n=2, axis=1))
    return found


def _along_rows(residual: Plane, axis: int) -> Plane:
    """Turned so that the differences were taken along the second axis."""
    return residual.T if axis == 0 else residual


def _residual_statistics(residual: Plane) -> Vector:
    """How heavy the tails are, how neighbours depend on each other: (2 + 2 * lags + levels,)."""
    size = np.abs(residual)
    mean = float(size.mean()) + 1e-6
    square = float((residual**2).mean()) + 1e-6
    shape = [np.log(square / mean**2), np.log(float(np.sqrt(size).mean()) / np.sqrt(mean) + 1e-6)]
    for lag in LAGS:
        shape.append(float((residual[:, lag:] * residual[:, :-lag]).mean()) / square)
        shape.append(float((residual[lag:] * residual[:-lag]).mean()) / square)
    steps = np.clip(np.rint(residual / mean), -LEVELS, LEVELS).astype(np.int64) + LEVELS
    levels = 2 * LEVELS + 1
    pairs = np.bincount((steps[:, 1:] * levels + steps[:, :-1]).ravel(), minlength=levels**2)
    counts = pairs.reshape(levels, levels)
    both = counts + counts.T + counts[::-1, ::-1] + counts.T[::-1, ::-1]
    joint = both[np.triu_indices(levels)] / both.sum()
    return np.concatenate([shape, np.sqrt(joint)])


def _colour(channels: Plane) -> Vector:
    """Correlation of the channels' residuals, along and across: (6,)."""
    found = []
    for axis in (0, 1):
        residual = np.diff(channels, n=2, axis=axis).reshape(-1, 3)
        spread = np.sqrt((residual**2).mean(0)) + 1e-6
        joint = (residual.T @ residual) / len(residual) / np.outer(spread, spread)
        found += [joint[0, 1], joint[1, 2], joint[0, 2]]
    return np.array(found)


def _spectrum(grey: Plane) -> Vector:
    """Share of each frequency band in a window's power, log, and its peaks: (2 * bands,)."""
    side = min(WINDOW, *grey.shape)
    window = np.hanning(side)[:, None] * np.hanning(side)
    top, left = ((length - side) // 2 for length in grey.shape)
    power = np.zeros((side, side // 2 + 1))
    for row in {0, top, grey.shape[0] - side}:
        for column in {0, left, grey.shape[1] - side}:
            part = grey[row : row + side, column : column + side]
            power += np.abs(np.fft.rfft2((part - part.mean()) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    # The lowest eighth is the motif's.
    bands = ((radius - 0.0625) / (0.5 - 0.0625) * BANDS).astype(int)
    means, peaks = np.zeros(BANDS), np.zeros(BANDS)
    for band in range(BANDS):
        inside = power[(bands == band) & (radius > 0.0625)] + 1e-3
        means[band] = np.log(inside.mean())
        peaks[band] = np.log(inside.max() / inside.mean())
    return np.concatenate([np.diff(means, prepend=means[0]), peaks])


def _grid(grey: Plane) -> Vector:
    """Differences across the lines of an 8-pixel grid against the others, log: (16,)."""
    found = []
    for axis in (0, 1):
        steps = np.abs(np.diff(grey, n=2, axis=axis)).mean(1 - axis)
        lines = np.array([steps[phase::8].mean() for phase in range(8)]) + 1e-3
        found.append(np.log(lines / lines.mean()))
    return np.concatenate(found)
