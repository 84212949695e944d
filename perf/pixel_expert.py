"""Seconds an image of a ViT-L/14 expert at 336 px, from pixels to logit; random weights.

    python perf/pixel_expert.py [--batches 1 2 4 8] [--repeats 5] [--threads N]
    python perf/pixel_expert.py --device cuda

On a CPU: the published style (PyTorch eager, float32, LoRA of rank 8 unmerged on all linear layers
of the blocks, with fused and with plain attention) and ours (LoRA merged, exported, ONNX Runtime
through `PixelBranch`), in turn in one process. Wall seconds an image, medians, and below them CPU
seconds, the least, which tell more where other work runs beside. Set OMP_WAIT_POLICY=PASSIVE there,
or PyTorch's threads spin. Then the peak memory of each in a process of its own (Linux).

On a GPU: images a second of our PyTorch path in bfloat16. Both stand beside what the matrix
products alone take at the speed at which this machine multiplies large matrices.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig

from aligngemini.branches.pixel import PixelBranch
from aligngemini.cores import usable_cores
from aligngemini.images.views import center_crop
from aligngemini.models.expert import ExpertGraph, PixelExpert, PixelExpertConfig, block_linears
from aligngemini.runtimes.folder import Calibration, open_folder, seal_folder, write_settings
from aligngemini.runtimes.onnx import OnnxRuntime
from aligngemini.runtimes.preprocess import CenterCrop
from aligngemini.runtimes.torch import TorchRuntime

WIDTH, BLOCKS, HEADS, PATCH, SIZE, HIDDEN = 1024, 24, 16, 14, 336, 4096
TOKENS = (SIZE // PATCH) ** 2 + 1
VIEWS = CenterCrop(SIZE, PATCH)
GPU_BATCHES = (1, 8, 32, 64, 128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--folder", type=Path, help="keep the 2.4 GB expert here for the next run")
    parser.add_argument("--memory-of", nargs=2, metavar=("SIDE", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.memory_of:
        print_peak_memory(*given.memory_of, max(given.batches), given.threads)
        return
    with tempfile.TemporaryDirectory() as work:
        folder = given.folder or Path(work) / "expert"
        if not folder.exists():
            make_folder(folder, export=given.device == "cpu")
        if given.device == "cuda":
            measure_gpu(folder, given.repeats)
        else:
            measure_cpu(folder, given.batches, given.repeats, given.threads)


def measure_cpu(folder: Path, batches: list[int], repeats: int, threads: int) -> None:
    sides = {
        "LoRA, plain attention": published("eager"),
        "LoRA, fused attention": published("sdpa"),
        "ours": ours(folder, threads),
    }
    peak = matmul_peak(torch.device("cpu"), torch.float32)
    print(f"{threads} threads, load {os.getloadavg()[0]:.2f}, PyTorch {torch.__version__}")
    print(
        f"{flops() / 1e9:.0f} GFLOP an image, {peak / 1e9:.0f} GFLOP/s in a large product: "
        f"{flops() / peak:.2f} s an image at the least"
    )
    print(f"{'batch':>5}{'':>6}" + "".join(f"{name:>25}" for name in sides) + f"{'ratio':>8}")
    for batch in batches:
        images = list(photos(batch))
        wall: dict[str, list[float]] = {name: [] for name in sides}
        cpu: dict[str, list[float]] = {name: [] for name in sides}
        for turn in range(repeats + 1):
            for name, run in sides.items():
                start, work = time.perf_counter(), time.process_time()
                run(images)
                if turn:  # the first warms up
                    wall[name].append((time.perf_counter() - start) / batch)
                    cpu[name].append((time.process_time() - work) / batch)
        print_row(f"{batch:5}{'wall':>6}", [median(times) for times in wall.values()])
        print_row(f"{'':5}{'CPU':>6}", [min(times) for times in cpu.values()])
    for side in ("published", "ours"):
        command = [sys.executable, __file__, "--memory-of", side, str(folder)]
        command += ["--threads", str(threads), "--batches", *map(str, batches)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    print(f"load {os.getloadavg()[0]:.2f}")


def print_row(head: str, seconds: list[float]) -> None:
    """The ratio is to the faster published one."""
    cells = "".join(f"{value:25.2f}" for value in seconds)
    print(f"{head}{cells}{min(seconds[:-1]) / seconds[-1]:8.2f}", flush=True)


def measure_gpu(folder: Path, repeats: int) -> None:
    device = torch.device("cuda")
    runtime = TorchRuntime(open_folder(folder), device="cuda", dtype=torch.bfloat16)
    peak = matmul_peak(device, torch.bfloat16)
    print(f"{torch.cuda.get_device_name()}, {peak / 1e12:.0f} TFLOP/s in a large bfloat16 product")
    print(f"{'batch':>5}{'images/s':>12}{'of the ceiling':>16}")
    for batch in GPU_BATCHES:
        pixels = np.stack([center_crop(image, SIZE) for image in photos(batch)])
        times = []
        for turn in range(repeats + 2):
            start = time.perf_counter()
            runtime.run(pixels=pixels)  # gives NumPy arrays: nothing is left running
            if turn > 1:
                times.append(time.perf_counter() - start)
        speed = batch / median(times)
        print(f"{batch:5}{speed:12.1f}{speed * flops() / peak:16.1%}", flush=True)
    print(f"peak memory {torch.cuda.max_memory_allocated() / 2**20:.0f} MB")


def published(attention: str) -> Callable[[list[np.ndarray]], None]:
    expert = make_expert()
    expert.backbone.set_attn_implementation(attention)
    graph = ExpertGraph(expert, VIEWS.mean, VIEWS.std)
    names = block_linears(expert.backbone)
    get_peft_model(expert.backbone, LoraConfig(r=8, lora_alpha=1, target_modules=names))
    graph.eval()

    def run(images: list[np.ndarray]) -> None:
        crops = np.stack([center_crop(image, SIZE) for image in images])
        with torch.inference_mode():
            graph(torch.from_numpy(crops))

    return run


def ours(folder: Path, threads: int) -> Callable[[list[np.ndarray]], object]:
    model = open_folder(folder)
    return PixelBranch(model, OnnxRuntime(model.onnx, device="cpu", threads=threads)).logits


def print_peak_memory(side: str, folder: str, batch: int, threads: int) -> None:
    run = published("sdpa") if side == "published" else ours(Path(folder), threads)
    run(list(photos(1)))
    one = peak_memory()
    run(list(photos(batch)))
    print(f"{side:10} peak memory {one} MB, at batch {batch} {peak_memory()} MB")


def peak_memory() -> int:
    """MB. Not `ru_maxrss`, which starts with that of the process that started this one."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 2**10


def make_expert() -> PixelExpert:
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "dinov2",
        hidden_size=WIDTH,
        num_hidden_layers=BLOCKS,
        num_attention_heads=HEADS,
        image_size=518,
        patch_size=PATCH,
    )
    return PixelExpert(PixelExpertConfig(config)).eval()


def make_folder(path: Path, *, export: bool) -> None:
    path.mkdir()
    make_expert().save_pretrained(path)
    write_settings(path, VIEWS, Calibration(1.0, 0.0, 0.5, 0.5, "nothing"))
    seal_folder(path)
    if export:
        from aligngemini.training.export_expert import export_expert

        export_expert(path)


def photos(count: int):
    rng = np.random.default_rng(0)
    return (rng.integers(0, 256, (375, 500, 3), dtype=np.uint8) for _ in range(count))


def flops() -> int:
    """Of the matrix products of one image: linear layers, attention, patches."""
    linear = 2 * TOKENS * (4 * WIDTH * WIDTH + 2 * WIDTH * HIDDEN)
    attention = 2 * 2 * TOKENS * TOKENS * WIDTH
    return BLOCKS * (linear + attention) + 2 * (TOKENS - 1) * WIDTH * 3 * PATCH * PATCH


def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP a second of the best of twenty products of large square matrices."""
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        a @ b
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


if __name__ == "__main__":
    main()
