"""Small autoencoders trained on the spot: decoders of several families for studies.

Their traces are cruder than those of a real generator's decoder, which trained for weeks; the
families differ as real ones do: in how they enlarge, in their normalisation, in their weights.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aligngemini.experiments.photos import squares
from aligngemini.images.degrade import Pixels
from aligngemini.models.reconstruction import Vae, VaeError
from aligngemini.models.vaes import open_vae

LATENTS = 8
WIDTHS = (12, 24)  # channels at full and at half size
CROP = 32  # pixels a side, in training
BATCH = 16
RATE = 3e-3
TAEF2_FILES = ("taef2_encoder.pth", "taef2_decoder.pth")


def _kl() -> Any:
    """Nearest-neighbour enlargement and convolution, group norms: Stable Diffusion's kind."""
    from diffusers import AutoencoderKL  # noqa: PLC0415 - takes seconds to import

    levels = len(WIDTHS)
    model: Any = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=WIDTHS,
        latent_channels=LATENTS,
        layers_per_block=1,
        norm_num_groups=4,
        mid_block_add_attention=False,
    )
    return model


def _dc() -> Any:
    """Enlargement by pixel shuffle, norms over channels: the deep-compression kind."""
    from diffusers import AutoencoderDC  # noqa: PLC0415

    levels = len(WIDTHS)
    widths = tuple(16 * 2**level for level in range(levels))
    model: Any = AutoencoderDC(
        latent_channels=LATENTS,
        encoder_block_types="ResBlock",
        decoder_block_types="ResBlock",
        encoder_block_out_channels=widths,
        decoder_block_out_channels=widths,
        encoder_layers_per_block=(1,) * levels,
        decoder_layers_per_block=(1,) * levels,
        encoder_qkv_multiscales=((),) * levels,
        decoder_qkv_multiscales=((),) * levels,
        upsample_block_type="pixel_shuffle",
        downsample_block_type="pixel_unshuffle",
        decoder_norm_types="rms_norm",
        decoder_act_fns="silu",
    )
    return model


FAMILIES: dict[str, Callable[[], Any]] = {"kl": _kl, "dc": _dc}
"""Architectures by name; what stands behind a dash in a decoder's name only seeds its weights."""


def open_decoder(name: str, photos: Pixels, steps: int, cache: Path, data: Path | None) -> Vae:
    """A decoder by name, trained first if it is one of ours and not in the cache.

    Args:
        name: `taef2`, whose two files lie in `weights/` in or beside the data folder; a family with
            a number (`kl-1`, `kl-2`, `dc-1`); else whatever `open_vae` takes.
        photos: (N, S, S, 3) uint8 RGB, what one of ours is trained on.
        steps: Of its training.
        cache: Folder; a folder of its own for each of ours.
        data: The data folder, or None.

    Raises:
        VaeError: There is no such decoder.
    """
    family = name.partition("-")[0]
    if family in FAMILIES:
        folder = cache / name
        if not (folder / "config.json").is_file():
            seed = int(name.partition("-")[2])
            _train(FAMILIES[family], photos, steps, seed, folder)
        return open_vae(str(folder))
    if name == "taef2":
        return open_vae(str(_find_taef2(data)))
    return open_vae(name, device="cuda" if torch.cuda.is_available() else "cpu")


def _find_taef2(data: Path | None) -> Path:
    for folder in (data / "weights", data.parent / "weights") if data else ():
        if all((folder / file).is_file() for file in TAEF2_FILES):
            return folder
    raise VaeError(
        f"no TAEF2: put {' and '.join(TAEF2_FILES)} of madebyollin/taesd into weights/ in the "
        "folder given with --data, or beside it"
    )


def _train(build: Callable[[], Any], photos: Pixels, steps: int, seed: int, folder: Path) -> None:
    """Train an autoencoder on the mean absolute error, and save it whole or not at all."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model: Any = build().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=max(steps, 2))
    for _ in range(steps):
        batch = squares(photos[rng.integers(0, len(photos), BATCH)], CROP, rng)
        images = torch.from_numpy(batch.copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
        loss = (_through(model, images) - images).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    partial = folder.with_name(f".partial-{folder.name}")
    model.save_pretrained(partial)
    partial.replace(folder)


def _through(model: Any, images: Tensor) -> Tensor:
    encoded = model.encode(images)
    latents = encoded.latent_dist.mean if hasattr(encoded, "latent_dist") else encoded.latent
    decoded: Tensor = model.decode(latents).sample
    return decoded
