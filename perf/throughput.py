"""Images a second over a folder, and memory, beside decoding alone and a ResNet-50.

    python perf/throughput.py PHOTOS [--images 1000]

PHOTOS is a folder; its files are linked under new names until there are enough. Needs the train
extra and psutil. The ResNet-50 has random weights, torch eager, 224 px, batch 1, decode included,
and uses all cores through torch's own threads; `detect` uses one process a core.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import psutil
from PIL import Image

DECODE = """
import sys
from pathlib import Path
from PIL import Image
for path in sorted(Path(sys.argv[1]).iterdir()):
    Image.open(path).convert("RGB").load()
"""

RESNET = """
import os, sys
from pathlib import Path
import numpy as np, torch
from PIL import Image
from transformers import ResNetConfig, ResNetForImageClassification
torch.set_num_threads(len(os.sched_getaffinity(0)))
model = ResNetForImageClassification(ResNetConfig()).eval()
with torch.inference_mode():
    for path in sorted(Path(sys.argv[1]).iterdir()):
        pixels = np.asarray(Image.open(path).convert("RGB").resize((224, 224)))
        model(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    arguments = parser.parse_args()
    photos = sorted(path for path in arguments.photos.rglob("*") if is_photo(path))
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, {arguments.images} images of {len(photos)} photos")
    print(f"{'':34}{'images/s':>9}{'seconds':>9}{'peak MB':>9}")
    for count in (arguments.images, arguments.images // 10):
        with tempfile.TemporaryDirectory() as folder:
            for number, photo in enumerate(islice(cycle(photos), count)):
                (Path(folder) / f"{number:06}{photo.suffix}").symlink_to(photo.resolve())
            report(f"aligngemini detect, {count}", detect(folder), count)
            if count == arguments.images:
                report("Pillow decoding alone, 1 process", script(DECODE, folder), count)
                report("ResNet-50, torch eager", script(RESNET, folder), count)


def is_photo(path: Path) -> bool:
    return path.suffix.lower() in {".jpg", ".jpeg"} and Image.open(path).format == "JPEG"


def detect(folder: str) -> list[str]:
    results = Path(tempfile.gettempdir()) / "throughput.jsonl"
    return [sys.executable, "-m", "aligngemini", "detect", folder, "--out", str(results)]


def script(code: str, folder: str) -> list[str]:
    return [sys.executable, "-W", "ignore", "-c", code, folder]


def report(name: str, command: list[str], count: int) -> None:
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = watch_memory(process.pid)
    code = process.wait()
    seconds = time.perf_counter() - start
    note = "" if code == 0 else f"  exit code {code}"
    print(f"{name:34}{count / seconds:9.1f}{seconds:9.1f}{peak() / 2**20:9.0f}{note}", flush=True)


def watch_memory(pid: int) -> Callable[[], int]:
    """Watch a process and its children; the result gives the highest sum of resident memory."""
    highest = [0]

    def watch() -> None:
        while True:
            try:
                root = psutil.Process(pid)
                family = [root, *root.children(recursive=True)]
                total = sum(process.memory_info().rss for process in family)
            except psutil.Error:
                return
            highest[0] = max(highest[0], total)
            time.sleep(0.05)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return lambda: highest[0]


if __name__ == "__main__":
    main()
