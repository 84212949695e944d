"""From a published checkpoint to a model folder, once."""

from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from aligngemini.models.dda import ALPHA, CheckpointError, Dda, load_dda
from aligngemini.models.quiet import quiet_transformers
from aligngemini.runtimes.folder import (
    CARD,
    SOURCE,
    Calibration,
    ModelError,
    Source,
    seal_folder,
    sha256_file,
    write_settings,
    write_source,
)
from aligngemini.runtimes.installing import new_folder
from aligngemini.runtimes.preprocess import CenterCrop

STEPS = 3
"""How often `import_dda` calls `step`."""

TEXT = """# DDA, imported

Asks whether an image's pixels were made by a generator's decoder: DINOv2 of width {width} with
{depth} blocks, its class token, one linear unit. Published by R. Chen and others, *Dual Data
Alignment Makes AI-Generated Image Detector Easier Generalizable* (arXiv 2505.14359), under
Apache-2.0; converted, not retrained. {lora}

An image is judged by its centre: a crop of {crop} px at native resolution, zeros around what is
smaller, CLIP's mean and deviation. Nothing is ever resized.

## Where it comes from

{source}

## What to know before relying on it

- **It does not prove anything**, least of all that a photo is real.
- The threshold {threshold:g} is {origin}. Nobody has measured here how many photos reach it.
- It was trained on COCO's photos and their reconstructions by the autoencoder of Stable Diffusion
  2.1. Its authors found it far weaker on decoders of 16 channels: 50 % on FLUX.1's reconstructions
  (chance) and 68 % on Stable Diffusion 3.5's, where those of Stable Diffusion 2.1 gave 99.7 %.
- Older generators that are no diffusion models are its weak side too: 81 % on ForenSynths. In
  several of the published comparisons the AI images were first saved as JPEG of quality 96.
- Training went down to JPEG quality 55; below, and after blur, it knows less. Others who ran the
  published weights found 94 % of photos and 69 % of AI images right on AIGIBench.
- It sees {crop} px of the centre. What was changed elsewhere in a photo, it cannot see.
- COCO's training photos are known to it: measure on others.

The figures are the authors' and other people's, not measured by this project.
"""


def import_dda(
    file: Path,
    out: Path,
    *,
    threshold: float | None = None,
    alpha: float = ALPHA,
    repo: str | None = None,
    revision: str | None = None,
    step: Callable[[], None] = lambda: None,
) -> str:
    """Convert a checkpoint of DDA's training code to a model folder.

    Args:
        file: `DDA_ckpt.pth`, or one of the same form.
        out: Folder to write; new or empty.
        threshold: Scores from here up are `fake`; None takes the published 0.5.
        alpha: Of the LoRA it was trained with.
        repo: Repository of the Hub the file came from.
        revision: Its commit.
        step: Called when the file is hashed, when it is read, and when the folder is written.

    Returns:
        The folder's fingerprint.

    Raises:
        ModelError: The file is no such checkpoint, or the folder cannot be written. Nothing is left
            behind then.
    """
    source = Source(file=file.name, sha256=sha256_file(file), repo=repo, revision=revision)
    step()
    calibration = Calibration(
        scale=1.0,
        bias=0.0,
        threshold=0.5 if threshold is None else threshold,
        threshold_real=0.5 if threshold is None else threshold,
        fitted_on="not measured here; the threshold is "
        + ("the published one" if threshold is None else "the importer's"),
    )
    try:
        dda = load_dda(file, alpha=alpha)
        step()
        with new_folder(out) as folder, quiet_transformers():
            dda.expert.save_pretrained(folder)
            write_settings(folder, CenterCrop(dda.crop_size, dda.patch_size), calibration)
            card = _card(dda, source, calibration.threshold, published=threshold is None)
            (folder / CARD).write_text(card, encoding="utf-8")
            write_source(folder, source)
            fingerprint = seal_folder(folder)
        step()
        return fingerprint
    except CheckpointError as error:
        raise ModelError(str(error)) from error
    except SafetensorError as error:  # what a full disk is called there
        raise ModelError(f"cannot write the weights to {out}: {error}") from error


def _card(dda: Dda, source: Source, threshold: float, *, published: bool) -> str:
    backbone = dda.expert.config.backbone_config
    lora = f"LoRA of rank {dda.rank} and alpha {dda.alpha:g} is merged into {dda.merged} layers."
    origin = "the published one" if published else "the choice of whoever imported it"
    facts = {
        "File": source.file,
        "SHA-256": source.sha256,
        "Repository": source.repo,
        "Revision": source.revision,
    }
    lines = [f"- {name}: `{value}`" for name, value in facts.items() if value is not None]
    lines.append(f"- the same in `{SOURCE}`, checked whenever the model is loaded")
    return TEXT.format(
        width=backbone.hidden_size,
        depth=backbone.num_hidden_layers,
        lora=lora if dda.merged else "It has no LoRA.",
        crop=dda.crop_size,
        source="\n".join(lines),
        threshold=threshold,
        origin=origin,
    )
