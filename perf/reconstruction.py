"""Images a second that a VAE reconstructs: what `aligngemini build pixel-set` spends its time on.

    python perf/reconstruction.py [--weights FOLDER] [--size 512] [--seconds 10]

SD 2.1's architecture with random weights (speed does not depend on them), and TAEF2 if its folder
is given. On the CPU in fp32 at batch 1; on a GPU, where there is one, in every precision at growing
batches. The time includes moving pixels to the device and back, not decoding or saving files.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from aligngemini.models.reconstruction import DTYPES, Unreconstructed, Vae
from aligngemini.models.vaes import open_vae

SD21 = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--weights", type=Path, help="folder of taef2_encoder.pth and _decoder.pth")
    parser.add_argument("--size", type=int, default=512, help="side of the images, pixels")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each row, about")
    given = parser.parse_args()
    print(
        f"{given.size} x {given.size}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    print(f"{'VAE':8}{'device':8}{'dtype':7}{'batch':>6}{'images/s':>10}{'peak GB':>9}")
    on_gpu = [("cuda", dtype, batch) for dtype in DTYPES for batch in (1, 8, 32)]
    settings = [("cpu", "fp32", 1), *(on_gpu if torch.cuda.is_available() else [])]
    for device, dtype, batch in settings:
        for name in ("sd21", "taef2") if given.weights else ("sd21",):
            if name == "sd21":
                vae = random_sd21(device, dtype)
            else:
                vae = open_vae(str(given.weights), device=device, dtype=dtype)
            if device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            rate = images_a_second(vae, given.size, batch, given.seconds)
            peak = torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else float("nan")
            print(f"{name:8}{device:8}{dtype:7}{batch:6}{rate:10.2f}{peak:9.1f}", flush=True)


def random_sd21(device: str, dtype: str) -> Vae:
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    module = AutoencoderKL(**SD21).requires_grad_(False).eval()
    torch.nn.Module.to(module, device, DTYPES[dtype])  # diffusers' own warns for nothing here
    return Vae(module, name="sd21", revision="random", unit_range=False)


def images_a_second(vae: Vae, size: int, batch: int, seconds: float) -> float:
    """Whole batches for about that long, after one to warm up."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    seeds = list(range(batch))
    results = vae.reconstruct(images, seeds=seeds)
    if any(isinstance(result, Unreconstructed) for result in results):
        return float("nan")  # random weights may overflow fp16
    start = time.perf_counter()
    done = 0
    while time.perf_counter() - start < seconds:
        vae.reconstruct(images, seeds=seeds)
        done += batch
    return done / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
