"""Running an image classifier of `transformers`, any architecture it knows."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers
from PIL import Image as PILImage
from transformers import AutoImageProcessor, AutoModelForImageClassification

from aligngemini.models.quiet import quiet_transformers
from aligngemini.runtimes.folder import ModelError, sha256_file

Pixels = npt.NDArray[np.uint8]

BATCH = 16  # images of one forward pass
_SETTINGS = ("config.json", "preprocessor_config.json", "processor_config.json")
# torchvision's resampling differs by a grey level from Pillow's, which is the one always there.
_BEFORE_5 = int(transformers.__version__.split(".")[0]) < 5
_PILLOW: dict[str, Any] = {"use_fast": False} if _BEFORE_5 else {"backend": "pil"}


class TorchClassifier:
    """A classifier and its image processor out of a folder, ready to run.

    Attributes:
        device: `cpu` or `cuda`: where it really runs.
        labels: In the order of the outputs.
        fingerprint: Twelve hex digits over weights, configuration and image processor.
    """

    def __init__(self, folder: Path, *, device: str = "auto", threads: int | None = None) -> None:
        """Load the classifier. No code of the folder is run.

        Args:
            folder: As `save_pretrained` writes it, or as the Hub has it.
            device: `auto`, `cpu` or `cuda`.
            threads: CPU threads of one forward pass, set for the whole process; None leaves
                PyTorch's.

        Raises:
            ModelError: It is no classifier of images, or CUDA is not there.
        """
        cuda = torch.cuda.is_available()
        if device == "cuda" and not cuda:
            raise ModelError("this PyTorch has no CUDA; use --device cpu, or install one that has")
        if threads is not None:
            torch.set_num_threads(threads)
        self.device = "cuda" if device != "cpu" and cuda else "cpu"
        self.fingerprint = _fingerprint(folder)
        self._processor, self._model = _load(folder)
        self._model.to(self.device)
        names = self._model.config.id2label
        self.labels = [str(names[index]) for index in range(self._model.config.num_labels)]

    @torch.inference_mode()
    def probabilities(self, images: Sequence[Pixels]) -> npt.NDArray[np.float64]:
        """(N, labels) in [0, 1] of (H, W, 3) uint8 RGB images of any size."""
        rows = [
            self._scores(images[start : start + BATCH]) for start in range(0, len(images), BATCH)
        ]
        return np.concatenate(rows) if rows else np.empty((0, len(self.labels)))

    def _scores(self, images: Sequence[Pixels]) -> npt.NDArray[np.float64]:
        pictures = [PILImage.fromarray(pixels) for pixels in images]
        inputs = self._processor(images=pictures, return_tensors="pt").to(self.device)
        logits = self._model(**inputs).logits.double()
        config = self._model.config
        # As `transformers`' own pipeline decides it.
        apart = config.num_labels == 1 or config.problem_type == "multi_label_classification"
        scores: npt.NDArray[np.float64]
        scores = (logits.sigmoid() if apart else logits.softmax(-1)).cpu().numpy()
        return scores


def _load(folder: Path) -> tuple[Any, Any]:
    try:
        with quiet_transformers():
            processor = AutoImageProcessor.from_pretrained(
                folder, trust_remote_code=False, **_PILLOW
            )
            model, loading = AutoModelForImageClassification.from_pretrained(
                folder, trust_remote_code=False, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{folder} is no image classifier that can be used: {reason}") from error
    if loading["missing_keys"] or loading["mismatched_keys"]:
        # `transformers` would draw them at random and only remark on it.
        names = sorted(map(str, [*loading["missing_keys"], *loading["mismatched_keys"]]))
        raise ModelError(f"{folder} is no image classifier: it lacks weights such as {names[0]}")
    return processor, model


def _fingerprint(folder: Path) -> str:
    """Over everything the probabilities come from.

    Raises:
        ModelError: The folder holds no weights.
    """
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not weights:
        raise ModelError(f"{folder} holds no weights (model.safetensors or pytorch_model.bin)")
    settings = [folder / name for name in _SETTINGS if (folder / name).is_file()]
    hashes = [f"{path.name} {sha256_file(path)}" for path in [*settings, *weights]]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()[:12]
