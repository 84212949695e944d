"""The paper's pixel expert in the study of decoders: DINOv2 with LoRA, trained by a recipe."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as PILImage

from aligngemini.datasets.pairs import Pair
from aligngemini.experiments.small_expert import Scores
from aligngemini.images.degrade import Pixels
from aligngemini.models.expert import PixelExpert, normalize
from aligngemini.training.expert import new_expert, train_expert
from aligngemini.training.expert_recipe import ExpertRecipe
from aligngemini.training.recipe import load_recipe

HELD_OUT = 20  # one of so many training pairs chooses the checkpoint
BATCH = 32


def train_full_expert(
    recipe: str, photos: Pixels, fakes: Pixels, work: Path, seed: int, **changes: Any
) -> Callable[[Pixels], Scores]:
    """Train an expert on pairs and give what scores images with it.

    Args:
        recipe: Name or file of a recipe of a vision backbone.
        photos: (N, S, S, 3) uint8 RGB.
        fakes: (M, S, S, 3), M a multiple of N; fake i belongs to photo i modulo N.
        work: Folder for the pairs as files, and for checkpoints; a stopped run goes on there.
        seed: Of the training.
        changes: Settings of the recipe to change.

    Returns:
        A function from (K, S, S, 3) uint8 RGB to (K,) logits.

    Raises:
        RecipeError: The recipe or its backbone cannot be opened.
    """
    settings = load_recipe(recipe, seed=seed, **changes)
    if not isinstance(settings, ExpertRecipe):
        raise TypeError(f"{recipe} is no recipe of a vision backbone")
    pairs = _write_pairs(photos, fakes, work / "pairs")
    held_out = pairs[::HELD_OUT]
    training = [pair for number, pair in enumerate(pairs) if number % HELD_OUT]
    expert, _ = train_expert(settings, new_expert(settings), training, held_out, work)
    return _scorer(expert, settings)


def _scorer(expert: PixelExpert, recipe: ExpertRecipe) -> Callable[[Pixels], Scores]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model: Any = expert  # transformers' typing hides what nn.Module's methods are
    model.to(device).eval()
    mean, std = (
        torch.tensor(values).view(3, 1, 1).to(device) for values in (recipe.mean, recipe.std)
    )

    @torch.no_grad()
    def score(pixels: Pixels) -> Scores:
        """Logits of the centres."""
        side = recipe.crop_size
        top, left = ((length - side) // 2 for length in pixels.shape[1:3])
        centres = pixels[:, top : top + side, left : left + side]
        parts = []
        for start in range(0, len(centres), BATCH):
            batch = torch.from_numpy(centres[start : start + BATCH].copy()).to(device)
            logits = model(normalize(batch, mean, std)).logits
            parts.append(logits.double().cpu().numpy())
        return np.concatenate(parts)

    return score


def _write_pairs(photos: Pixels, fakes: Pixels, folder: Path) -> list[Pair]:
    folder.mkdir(parents=True, exist_ok=True)
    real = [_write(pixels, folder / f"real-{k}.png") for k, pixels in enumerate(photos)]
    fake = [_write(pixels, folder / f"fake-{k}.png") for k, pixels in enumerate(fakes)]
    # Not compressed like the photo: both are written anew, and the photo's own JPEG is not known.
    return [Pair(real[k % len(real)], path, "", None) for k, path in enumerate(fake)]


def _write(pixels: Pixels, path: Path) -> str:
    if not path.is_file():
        partial = path.with_name(f".{path.name}")
        PILImage.fromarray(pixels).save(partial, "PNG")
        partial.replace(path)
    return str(path)
