"""What a tiny DINOv2, from random weights, learns of a pixel set: photos against reconstructions.

    python tools/learn_pixel.py set/manifest.parquet [STEPS]

Eighty pairs are held out, crops lie on the decoder's grid of 8 pixels, nothing is augmented and the
reconstructions are not compressed as their photos were. Prints steps, loss, and the AUC on centred
crops of 128 and of 208 pixels.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aligngemini.datasets.manifest import read_manifest
from aligngemini.evaluation.metrics import auc
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.views import center_crop
from aligngemini.models.expert import PixelExpert, PixelExpertConfig

CROP, LARGE, GRID, HELD_OUT, PAIRS, RATE = 128, 208, 8, 80, 8, 1e-3
BACKBONE = {
    "model_type": "dinov2",
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "image_size": CROP,
    "patch_size": 16,
}


def main(manifest: Path, steps: int) -> None:
    """Train, and print what comes of it."""
    pairs = _pairs(manifest)
    held_out, kept = pairs[:HELD_OUT], pairs[HELD_OUT:]
    print(f"{len(kept)} pairs to train on, {len(held_out)} held out", flush=True)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    expert = PixelExpert(PixelExpertConfig(BACKBONE)).train()
    optimizer = torch.optim.AdamW(expert.parameters(), RATE, weight_decay=0.05)
    labels = torch.tensor([0.0, 1.0] * PAIRS)
    order: list[int] = []
    loss_shown = 0.69  # of a coin
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 100) * (1 + np.cos(np.pi * step / steps)) / 2
        if len(order) < PAIRS:
            order = rng.permutation(len(kept)).tolist()
        crops = [crop for _ in range(PAIRS) for crop in _crops(kept[order.pop()], rng)]
        logits = expert(_normal(crops)).logits
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(expert.parameters(), 1.0)
        optimizer.step()
        loss_shown += 0.03 * (loss.item() - loss_shown)
        if (step + 1) % max(1, steps // 7) == 0:
            figures = " ".join(f"{_auc(expert, held_out, size):.3f}" for size in (CROP, LARGE))
            print(f"{step + 1} {loss_shown:.3f} {figures}", flush=True)


def _pairs(manifest: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Photo and reconstruction, those large enough, in an order that says nothing."""
    rows = [row for row in read_manifest(manifest) if row.label == "fake"]
    rows.sort(key=lambda row: str(row.extra.get("original_sha256", row.path)))
    pairs = [(decode(read_bytes(r.pair)).pixels, decode(read_bytes(r.path)).pixels) for r in rows]
    return [pair for pair in pairs if min(pair[0].shape[:2]) >= LARGE]


def _crops(pair: tuple[np.ndarray, np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    top, left = (int(rng.integers(0, (n - CROP) // GRID + 1)) * GRID for n in pair[0].shape[:2])
    return [pixels[top : top + CROP, left : left + CROP] for pixels in pair]


def _normal(crops: list[np.ndarray]) -> Tensor:
    return (torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255 - 0.45) / 0.27


def _auc(expert: PixelExpert, pairs: list[tuple[np.ndarray, np.ndarray]], size: int) -> float:
    expert.train(False)
    with torch.no_grad():
        real, fake = (
            expert(_normal([center_crop(pair[k], size) for pair in pairs])).logits.numpy()
            for k in (0, 1)
        )
    expert.train()
    return auc(real, fake)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 4200)
