"""Inpainting pipelines of diffusers: a masked region painted anew."""

import hashlib
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as PILImage

from aligngemini.models.quiet import quiet_transformers
from aligngemini.models.reconstruction import DTYPES, Unreconstructed

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

FACTOR = 64  # what a UNet with three halvings behind a VAE of factor 8 takes without remainder
_SIDE = 512  # pixels; of pipelines that do not say what they were trained on


class InpainterError(Exception):
    """An inpainting model that cannot be opened or used; the message says what to do."""


class Inpainter:
    """An inpainting pipeline between images.

    Attributes:
        name: For manifests: the last part of the repository or folder.
        revision: Of a Hub repository the commit, of a folder the SHA-256 of its description.
        factor: Sides of images must be multiples of this, pixels.
        side: What the pipeline was trained on, pixels a side.
    """

    factor = FACTOR

    def __init__(
        self,
        pipeline: Any,
        *,
        name: str,
        revision: str,
        prompt: str = "",
        steps: int = 30,
        guidance: float = 7.5,
        strength: float = 0.9,
    ) -> None:
        """Take over a pipeline.

        Args:
            pipeline: Of diffusers, for inpainting, on its device.
            name: See the attributes.
            revision: See the attributes.
            prompt: What to paint; nothing goes by the surroundings.
            steps: Of denoising.
            guidance: Scale of classifier-free guidance.
            strength: How much of the region is noise at the beginning, above 0 to 1; less than 1
                keeps some of what was there.
        """
        self.name, self.revision = name, revision
        self.side = _native_side(pipeline)
        self._pipeline = pipeline
        self._options = {
            "prompt": prompt,
            "num_inference_steps": steps,
            "guidance_scale": guidance,
            "strength": strength,
        }
        pipeline.set_progress_bar_config(disable=True)

    def paint(self, pixels: Pixels, mask: Mask, *, seed: int) -> Pixels | Unreconstructed:
        """Paint the masked pixels of an image.

        Args:
            pixels: (H, W, 3) uint8 RGB; H and W multiples of `factor`.
            mask: (H, W) bool, what to paint.
            seed: Of the noise.

        Returns:
            (H, W, 3) uint8, or why there is none: `not-finite`, `out-of-memory`, or `refused` where
            the pipeline's own safety checker blacked it out.

        Raises:
            InpainterError: The pipeline does not take these inputs.
        """
        height, width = mask.shape
        try:
            made = self._pipeline(
                image=PILImage.fromarray(pixels),
                mask_image=PILImage.fromarray(mask.astype(np.uint8) * 255),
                height=height,
                width=width,
                generator=torch.Generator().manual_seed(seed),
                output_type="np",
                **self._options,
            )
        except torch.OutOfMemoryError:
            reason = f"{self.name}: {width} x {height} pixels do not fit"
            return Unreconstructed("out-of-memory", reason)
        except (AttributeError, RuntimeError, TypeError, ValueError) as error:
            kind = type(self._pipeline).__name__
            raise InpainterError(f"{self.name}: the {kind} cannot paint: {error}") from error
        if any(getattr(made, "nsfw_content_detected", None) or ()):
            return Unreconstructed("refused", f"{self.name}: its safety checker refused the result")
        image = np.asarray(made.images[0], np.float32)
        if not np.isfinite(image).all():
            reason = f"{self.name} gives no finite numbers; give another --dtype"
            return Unreconstructed("not-finite", reason)
        painted: Pixels = np.rint(image.clip(0, 1) * 255).astype(np.uint8)
        return painted


def open_inpainter(
    name: str, *, device: str = "cpu", dtype: str = "auto", **options: Any
) -> Inpainter:
    """Open an inpainting pipeline by Hub repository or folder.

    Args:
        name: A folder or a Hub repository (owner/name) with a diffusers pipeline that inpaints, or
            with one whose parts can. No code of a repository is run.
        device: Where to run it: `cpu`, `cuda`, ...
        dtype: `fp32`, `fp16`, `bf16`, or `auto`: fp32 on the CPU, fp16 on a GPU.
        **options: `prompt`, `steps`, `guidance` and `strength` of `Inpainter`.

    Raises:
        InpainterError: There is none, it is out of reach, or it cannot inpaint.
    """
    from diffusers import AutoPipelineForInpainting  # noqa: PLC0415 - takes seconds to import

    if dtype == "auto":
        dtype = "fp32" if torch.device(device).type == "cpu" else "fp16"
    folder = Path(name)
    if folder.is_dir():
        revision = _described(folder)
    else:
        folder = _download(name)
        revision = folder.name
    try:
        with _quiet():
            pipeline = AutoPipelineForInpainting.from_pretrained(
                folder, torch_dtype=DTYPES[dtype], local_files_only=True, use_safetensors=True
            )
    except Exception as error:  # diffusers, transformers and safetensors raise of every kind
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InpainterError(f"{name} cannot be opened for inpainting: {first}") from error
    label = re.sub(r"[^\w.-]+", "-", Path(name).resolve().name) or "inpainter"
    return Inpainter(pipeline.to(device), name=label, revision=revision, **options)


def _described(folder: Path) -> str:
    try:
        return hashlib.sha256((folder / "model_index.json").read_bytes()).hexdigest()
    except OSError as error:
        raise InpainterError(
            f"{folder} holds no diffusers pipeline: there is no model_index.json in it"
        ) from error


def _download(repo: str) -> Path:
    """The pipeline in the Hub's local cache, fetched if it is not there yet."""
    from diffusers import DiffusionPipeline  # noqa: PLC0415

    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repo):
        raise InpainterError(
            f"there is no inpainting model {repo!r}: not a folder, and not the name of a Hub "
            "repository (owner/name)"
        )
    try:
        with _quiet():
            return Path(DiffusionPipeline.download(repo, use_safetensors=True))
    except Exception as error:  # diffusers and huggingface_hub raise of every kind
        raise InpainterError(
            f"the inpainting model {repo} is not in the local cache and cannot be fetched: check "
            "the name, go online once, log in with `hf auth login` if it is gated, or give a local "
            "folder in its place"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """No bar for every part of a pipeline, and no remark below an error, while the block runs."""
    from diffusers.utils import logging  # noqa: PLC0415

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with quiet_transformers(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # names that older releases need
            yield
    finally:
        logging.set_verbosity(verbosity)
        logging.enable_progress_bar()


def _native_side(pipeline: Any) -> int:
    """What the pipeline makes when nobody says how large."""
    factor = getattr(pipeline, "vae_scale_factor", None)
    network = getattr(pipeline, "unet", None)
    sample = getattr(getattr(network, "config", None), "sample_size", None)
    if sample is None:
        sample = getattr(pipeline, "default_sample_size", None)
    if isinstance(sample, int) and isinstance(factor, int):
        return sample * factor
    return _SIDE
