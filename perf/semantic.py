"""A verdict of the semantic branch from one prefill, beside an answer of 128 tokens.

    python perf/semantic.py [--base FOLDER] [--device cpu] [--images 4] [--tokens 128]

Same model, same images, same run, turn by turn; the best of the repeats, because whatever else the
machine does only ever adds. Seconds are CPU seconds of one thread on a CPU, wall seconds on a GPU.
Without --base a tiny Qwen2.5-VL of the true classes is made, with
random weights; needs the vlm extra.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from aligngemini.models.qwen_facts import PATCH, visual_grid
from aligngemini.runtimes.vlm import Vlm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--base", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = given.base or tiny(Path(folder))
        vlm = Vlm(base, device=given.device, threads=1)
    # Whoever stops early would be compared with less than was asked for.
    vlm.model.generation_config.min_new_tokens = given.tokens
    rng = np.random.default_rng(0)
    for side in (8, 16, 22, 32):
        pixels = side * PATCH
        images = rng.integers(0, 256, (given.images, pixels, pixels, 3), dtype=np.uint8)
        compare(vlm, list(images), given.tokens, given.repeats)


def compare(vlm: Vlm, images: list[np.ndarray], tokens: int, repeats: int) -> None:
    """One line: seconds an image both ways, and how they relate."""
    rows, columns = visual_grid(*images[0].shape[:2])
    ways = {
        "one by one": lambda: [vlm.score([image]) for image in images],
        "as a batch": lambda: vlm.score(images),
        "generated": lambda: [vlm.explain(i, "fake", max_new_tokens=tokens) for i in images],
    }
    clock = time.process_time if vlm.device == "cpu" else time.perf_counter
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(repeats):
        for name, run in ways.items():
            start = clock()
            run()
            best[name] = min(best[name], (clock() - start) / len(images))
    shown = "  ".join(f"{name} {seconds:8.4f} s" for name, seconds in best.items())
    ratio = best["generated"] / best["one by one"]
    print(f"{rows * columns:5} visual tokens  {shown}  {tokens} tokens / verdict {ratio:6.1f}")


def tiny(folder: Path) -> Path:
    """The model that the tests use."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from fixtures.vlm import tiny_vlm_folder

    return tiny_vlm_folder(folder)


if __name__ == "__main__":
    main()
