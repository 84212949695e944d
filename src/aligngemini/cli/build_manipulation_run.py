"""The work of `aligngemini build manipulation-set`, and what is said of it."""

import sys
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import torch

from aligngemini.cli.checks import SOME_NOT_JUDGED
from aligngemini.cli.progress import progress
from aligngemini.cores import usable_cores
from aligngemini.datasets.manipulation_build import ManipulationSummary, build_manipulation_set
from aligngemini.datasets.manipulation_settings import ManipulationSetConfig, Tools
from aligngemini.datasets.manipulations.blending import BLENDS
from aligngemini.datasets.manipulations.mask_files import open_masks
from aligngemini.images.sources import Item, Skipped, expand
from aligngemini.models.inpainting import open_inpainter
from aligngemini.models.vaes import open_vae

FREE_KINDS = ("inpaint-classical", "copy-move", "splice")


class NothingFoundError(Exception):
    """Inputs that cannot be built from; the message says why."""


def run(given: Any) -> int:
    """Build what the parsed arguments ask for; gives the exit code.

    Raises:
        NothingFoundError: There is no photo, no GPU, or the set would lie among its inputs.
    """
    for name in (*given.photos, *given.fakes):
        if Path(name).is_dir() and given.out.resolve().is_relative_to(Path(name).resolve()):
            raise NothingFoundError(
                f"{given.out} lies among the images of {name}; give a folder elsewhere"
            )
    skipped = Skipped()
    photos = list(islice(expand(given.photos, stdin=sys.stdin, skipped=skipped), given.limit))
    if not photos:
        left_out = f"; {skipped.count} files there are no images" if skipped.count else ""
        raise NothingFoundError(f"found no photo{left_out}")
    fakes = list(expand(given.fakes))
    tools = _tools(given, photos)
    config = _config(given)
    # The threads here keep the cores busy; OpenCV's own would come on top of them.
    cv2.setNumThreads(1)
    with progress(len(photos) + len(fakes), text="Editing") as step:
        summary = build_manipulation_set(
            photos,
            fakes,
            tools,
            given.out,
            config,
            threads=given.workers or usable_cores(),
            step=step,
        )
    return _report(given.out, summary)


def _config(given: Any) -> ManipulationSetConfig:
    kinds = given.kind
    if not kinds:
        kinds = [*(["vae-region"] if given.vae else []), *(["inpaint"] if given.inpainter else [])]
        kinds += FREE_KINDS
    return ManipulationSetConfig(
        kinds=tuple(dict.fromkeys(kinds)),
        per_photo=given.per_photo,
        area=tuple(given.area),
        blends=tuple(dict.fromkeys(given.blend or BLENDS)),
        align_jpeg=given.align_jpeg,
        perturb=given.perturb,
        moved_label=given.moved_label,
        max_side=given.max_side,
        val_share=given.split_val,
        seed=given.seed,
    )


def _tools(given: Any, photos: list[Item]) -> Tools:
    masks = open_masks(given.masks) if given.masks else None  # before models, which take long
    cuda = torch.cuda.is_available()
    if given.device == "cuda" and not cuda:
        raise NothingFoundError(
            "there is no CUDA device that this PyTorch can use; give --device cpu"
        )
    device = "cuda" if cuda and given.device != "cpu" else "cpu"
    painter = None
    if given.inpainter:
        painter = open_inpainter(
            given.inpainter,
            device=device,
            dtype=given.dtype,
            prompt=given.prompt,
            steps=given.steps,
            strength=given.strength,
        )
    return Tools(
        vaes=[open_vae(name, device=device, dtype=given.dtype) for name in given.vae],
        painter=painter,
        masks=masks,
        donors=[photo for photo in photos if photo.problem is None],
    )


def _report(out: Path, summary: ManipulationSummary) -> int:
    fakes = f" and {summary.fakes} whole AI images" if summary.fakes else ""
    print(f"{out}: {summary.edited} edited copies of {summary.photos} photos{fakes}")
    if summary.duplicates:
        print(f"{summary.duplicates} duplicates left out", file=sys.stderr)
    if summary.failed:
        table = out / "failed.csv"
        print(
            f"{summary.failed} images could not be used, or not for every edit: {table} says why",
            file=sys.stderr,
        )
        return SOME_NOT_JUDGED
    return 0
