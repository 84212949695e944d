"""How long a command takes from nothing: `--help`, and `detect` on one 12-megapixel JPEG.

    python perf/start.py [--repeats 7]

Wall and CPU seconds (user and system, children included), the best of the repeats, because
whatever else the machine does only ever adds. Rows of one block were run in turn, not one after
the other.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

RECODE = """
import io, sys
from PIL import Image
image = Image.open(sys.argv[1]); image.load(); image.save(io.BytesIO(), "JPEG", quality=90)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    program = [sys.executable, "-m", "aligngemini"]
    detect = [*program, "detect"]
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        draw_photo().save(photo, quality=90)
        compare(
            {
                'python -c "import numpy"': [sys.executable, "-c", "import numpy"],
                "aligngemini --help": [*program, "--help"],
            },
            repeats,
        )
        compare(
            {
                "Pillow decodes and re-encodes": [sys.executable, "-c", RECODE, str(photo)],
                "aligngemini detect": [*detect, str(photo)],
                "aligngemini detect --pixel off": [*detect, str(photo), "--pixel", "off"],
            },
            repeats,
        )


def draw_photo() -> Image.Image:
    """4000 x 3000 with the spectrum of a photo: noise at several scales."""
    rng = np.random.default_rng(0)
    total = np.zeros((3000, 4000, 3), np.float32)
    for scale, weight in ((1, 6), (4, 10), (16, 20), (64, 40), (250, 60)):
        small = rng.normal(0, weight, (3000 // scale + 1, 4000 // scale + 1, 3))
        layer = [
            Image.fromarray(small[..., channel].astype(np.float32)).resize((4000, 3000))
            for channel in range(3)
        ]
        total += np.stack([np.asarray(plane) for plane in layer], -1)
    return Image.fromarray(np.clip(total + 120, 0, 255).astype(np.uint8))


def compare(commands: dict[str, list[str]], repeats: int) -> None:
    best = {name: (float("inf"), float("inf")) for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            wall, cpu = clock(command)
            best[name] = (min(best[name][0], wall), min(best[name][1], cpu))
    base_wall, base_cpu = next(iter(best.values()))
    print(f"{'':34}{'wall s':>8}{'ratio':>7}{'CPU s':>8}{'ratio':>7}")
    for name, (wall, cpu) in best.items():
        print(f"{name:34}{wall:8.3f}{wall / base_wall:7.2f}{cpu:8.3f}{cpu / base_cpu:7.2f}")


def clock(command: list[str]) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main()
