"""Qwen2.5-VL without torchvision: its processor, with Pillow's image backend, and its loading.

One image backend everywhere, in training, calibration and serving: the others differ from it by a
grey level here and there.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoTokenizer,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessorPil,
)
from transformers.processing_utils import ProcessorMixin

from aligngemini.models.qwen_facts import MODELS, PATCH

__all__ = ["MODELS", "PATCH", "ImageQwenProcessor", "load_model", "load_processor"]


class ImageQwenProcessor(Qwen2_5_VLProcessor):
    """`transformers`' processor for images and text; the video part needs torchvision."""

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        chat_template: str | None = None,
        **settings: Any,
    ) -> None:
        self.image_token, self.video_token = "<|image_pad|>", "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


def load_processor(
    name: str | Path,
    *,
    min_pixels: int | None = None,
    max_pixels: int | None = None,
    revision: str = "main",
) -> ImageQwenProcessor:
    """The processor of a base model.

    Args:
        name: One of `MODELS`, a repository of the Hub, or a local folder.
        min_pixels: Smaller images are enlarged to this many; None keeps the model's own.
        max_pixels: Larger images are shrunk to this many; None keeps the model's own.
        revision: Branch, tag or commit of the repository.

    Raises:
        OSError: It is not there; the message is `transformers`' own.
    """
    source = MODELS.get(str(name), str(name))
    tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
    images = Qwen2VLImageProcessorPil.from_pretrained(source, revision=revision)
    size = dict(images.size)
    if min_pixels is not None:
        size["shortest_edge"] = min_pixels
    if max_pixels is not None:
        size["longest_edge"] = max_pixels
    images.size = size
    return ImageQwenProcessor(images, tokenizer, chat_template=tokenizer.chat_template)


def load_model(
    name: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    revision: str = "main",
    **settings: Any,
) -> Any:
    """The weights of a base model, on the CPU unless `settings` say otherwise.

    Args:
        name: As for `load_processor`.
        dtype: Of weights and computation.
        revision: As for `load_processor`.
        settings: Passed on to `from_pretrained`.

    Raises:
        OSError: As `load_processor`.
    """
    source = MODELS.get(str(name), str(name))
    return Qwen2_5_VLForConditionalGeneration.from_pretrained(
        source, dtype=dtype, revision=revision, **settings
    )
