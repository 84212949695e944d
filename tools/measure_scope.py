"""Count what the rules of scope leave out: photos by mistake, AI images, and what is no photo.

    python tools/measure_scope.py ../shared/data/manifest.csv [NAME=DIR ...]

Photos and AI images come from the manifest (labels `real` and `ai`), by source. Charts, cartoons,
pages of text and their scans are drawn here, from a seed; folders given as NAME=DIR hold others
(screenshots, icons). Each image counts as it is, as JPEG 75 and at half size.
"""

import csv
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.degrade import DELIVERIES
from aligngemini.images.item import ImageError
from aligngemini.images.scope import scope_of

Pixels = npt.NDArray[np.uint8]
EACH = 24
SHOWN = ("as is", "JPEG 75", "half size")
WORDS = ("the", "of", "and", "light", "river", "never", "between", "image", "camera", "without")


def main() -> None:
    """Measure, and print a table and the photos that are left out."""
    manifest, *folders = sys.argv[1:]
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for kind, group, path, pixels in _images(Path(manifest), folders):
        count = counts[kind, group]
        count["images"] += 1
        for name in SHOWN:
            reasons = scope_of(DELIVERIES[name](pixels)).reasons
            count[name] += bool(reasons)
            if name == "as is":
                count.update(reasons)
            if reasons and kind == "photos":
                print(f"left out: {path}, {name}: {', '.join(reasons)}", file=sys.stderr)
    reasons = ("constant", "flat", "few-colours", "text")
    print("| | images | " + " | ".join((*SHOWN, *reasons)) + " |")
    print("| --- |" + " --- |" * (1 + len(SHOWN) + len(reasons)))
    for (_, group), count in counts.items():
        cells = [str(count[name]) for name in ("images", *SHOWN, *reasons)]
        print(f"| {group} | {' | '.join(cells)} |")


def _images(manifest: Path, folders: list[str]) -> Iterator[tuple[str, str, str, Pixels]]:
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for label, kind in (("real", "photos"), ("ai", "AI images")):
        for row in rows:
            if row["label"] == label:
                group = f"{kind}: {row['path'].split('/')[1]}"
                yield from _opened(kind, group, manifest.parent / row["path"])
    rng = np.random.default_rng(0)
    for name, draw in (
        ("charts, drawn", chart),
        ("cartoons, drawn", cartoon),
        ("pages of text, drawn", page),
        ("scans of pages, drawn", scan),
    ):
        for number in range(EACH):
            yield "others", name, str(number), np.asarray(draw(rng))
    for folder in folders:
        name, _, place = folder.partition("=")
        for path in sorted(Path(place).rglob("*")):
            if path.is_file():
                yield from _opened("others", name, path)


def _opened(kind: str, group: str, path: Path) -> Iterator[tuple[str, str, str, Pixels]]:
    try:
        pixels = decode(read_bytes(path), path=str(path)).pixels
    except ImageError as error:
        print(f"not opened: {path}: {error.message}", file=sys.stderr)
        return
    if min(pixels.shape[:2]) >= 64:  # at half size there is nothing left of smaller ones
        yield kind, group, str(path), pixels


def chart(rng: np.random.Generator) -> Image.Image:
    """One of six kinds of charts that matplotlib draws."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend

    figure: Any
    figure, axes = plt.subplots(figsize=rng.choice([5, 6, 8], 2), dpi=rng.choice([80, 100, 150]))
    kind = rng.integers(6)
    if kind == 0:
        axes.plot(rng.normal(size=(100, 3)).cumsum(0))
    elif kind == 1:
        axes.bar(range(8), rng.random(8), color=mpl.colormaps["tab10"](range(8)))
    elif kind == 2:
        axes.scatter(*rng.normal(size=(2, 800)), s=8, alpha=0.5)
    elif kind == 3:
        axes.imshow(rng.random((20, 30)))
    elif kind == 4:
        axes.contourf(rng.normal(size=(20, 20)), cmap="coolwarm")
    else:
        axes.hist(rng.normal(size=500), 40)
        axes.grid()
    axes.set_title("a chart")
    figure.canvas.draw()
    picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])
    plt.close(figure)
    return picture


def cartoon(rng: np.random.Generator) -> Image.Image:
    """Shapes of one colour with black outlines, smoothed; every third one shaded."""
    width, height = rng.choice([640, 800, 1024], 2).tolist()
    picture = Image.new("RGB", (2 * width, 2 * height), tuple(rng.integers(120, 255, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.integers(12, 60)):
        x, y = rng.integers(0, 2 * width), rng.integers(0, 2 * height)
        size = rng.integers(20, width // 2)
        colour = tuple(rng.integers(0, 255, 3).tolist())
        corners = [x - size, y - size, x + size, y + size // 2]
        draw.ellipse(corners, fill=colour, outline=(0, 0, 0), width=6)
        draw.line([*corners[:2], *rng.integers(0, width, 2).tolist()], fill=(0, 0, 0), width=8)
    picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    if rng.integers(3):
        return picture
    shade = np.linspace(1, 0.7, height)[:, None, None]
    return Image.fromarray((np.asarray(picture) * shade).astype(np.uint8))


def page(rng: np.random.Generator) -> Image.Image:
    """Lines of words in one of matplotlib's fonts, black on white or the other way round."""
    width, height = rng.choice([600, 850, 1240], 2).tolist()
    size = int(rng.choice([14, 18, 24, 32]))
    family = str(rng.choice(["DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono"]))
    font = ImageFont.truetype(font_manager.findfont(family), size)
    paper, ink = ((18,) * 3, (235,) * 3) if rng.random() < 0.2 else ((255,) * 3, (10,) * 3)
    picture = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(picture)
    for top in range(2 * size, height - 2 * size, int(1.5 * size)):
        words = " ".join(rng.choice(WORDS, 400 // size))
        draw.text((2 * size, top), words[: rng.integers(20, len(words))], font=font, fill=ink)
    return picture


def scan(rng: np.random.Generator) -> Image.Image:
    """A page a little askew and out of focus, unevenly lit, with the sensor's noise, as JPEG."""
    printed = page(rng).rotate(rng.uniform(-1.5, 1.5), fillcolor=(250,) * 3)
    soft = printed.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.0)))
    light = np.asarray(soft) / 255 * rng.uniform(215, 250) * [1, rng.uniform(0.96, 1), 0.94]
    light *= np.linspace(1, rng.uniform(0.75, 1), printed.width)[:, None]
    light += rng.normal(0, rng.uniform(1.5, 6), light.shape)
    file = BytesIO()
    quality = int(rng.integers(60, 95))
    Image.fromarray(light.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


if __name__ == "__main__":
    mpl.use("Agg")
    main()
