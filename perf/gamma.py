"""Images a second and peak memory of a GAMMA model at 1, 12 and 48 megapixels, from pixels on.

    python perf/gamma.py [--model DIR] [--megapixels 1 12 48 100] [--repeats 3] [--threads 1]

Without --model it is the compact recipe's network with random weights on ONNX Runtime: as fast as
with trained ones. Each size has a process of its own. `images/s` is of CPU seconds, which other
programs hardly change: of all threads together. `peak` is the most the process held,
`beside` what judging added to the model and the picture.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from aligngemini.branches.gamma import GammaBranch
from aligngemini.branches.gamma.tiling import lay_out
from aligngemini.images.item import Image

ASPECT = 4 / 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--megapixels", type=int, nargs="+", default=[1, 12, 48, 100])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        measure(given.model, given.one, given.repeats, given.threads)
        return
    with tempfile.TemporaryDirectory() as folder:
        model = given.model or make_model(Path(folder) / "gamma")
        titles = ("megapixels", "tiles", "seconds", "CPU s", "images/s", "peak MB", "beside MB")
        print("".join(f"{title:>11}" for title in titles))
        for size in given.megapixels:
            options = ["--repeats", str(given.repeats), "--threads", str(given.threads)]
            command = [sys.executable, __file__, "--model", str(model), "--one", str(size)]
            subprocess.run([*command, *options], check=True)


def measure(model: Path, megapixels: int, repeats: int, threads: int) -> None:
    branch = GammaBranch.load(model, device="cpu", threads=threads)
    width = int((megapixels * 1e6 * ASPECT) ** 0.5)
    image = Image(photo(int(width / ASPECT), width))
    branch.judge([Image(image.pixels[:256, :256])])
    before = peak_memory()
    wall, cpu = [], []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        branch.judge([image], heatmaps=True)
        wall.append(time.perf_counter() - start[0])
        cpu.append(time.process_time() - start[1])
    tiles = len(list(lay_out(image.height, image.width, branch.settings)))
    peak = peak_memory()
    numbers = (min(wall), min(cpu), 1 / min(cpu))
    print(
        f"{megapixels:11}{tiles:11}",
        *(f"{number:11.2f}" for number in numbers),
        f"{peak:11}{peak - before:11}",
        sep="",
        flush=True,
    )


def photo(height: int, width: int) -> np.ndarray:
    """Noise, a strip at a time: what draws it must not be what memory is measured by."""
    rng = np.random.default_rng(0)
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, 256):
        strip = pixels[top : top + 256]
        strip[:] = rng.integers(0, 256, strip.shape, dtype=np.uint8)
    return pixels


def peak_memory() -> int:
    """MB. Not `ru_maxrss`, which starts with that of the process that started this one."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 2**10


def make_model(path: Path) -> Path:
    """The compact recipe's network with random weights, its ONNX file beside them."""
    from aligngemini.runtimes.folder import Calibration, seal_folder, write_settings
    from aligngemini.training.export_gamma import export_gamma
    from aligngemini.training.gamma import new_gamma
    from aligngemini.training.gamma_recipe import load_gamma_recipe

    recipe = load_gamma_recipe("gamma-compact")
    path.mkdir()
    new_gamma(recipe).save_pretrained(path)
    write_settings(path, recipe.preprocess(), Calibration(1.0, 0.0, 0.5, 0.5, "nothing"))
    seal_folder(path)
    export_gamma(path)
    return path


if __name__ == "__main__":
    main()
