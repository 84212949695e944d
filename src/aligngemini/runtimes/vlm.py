"""Qwen2.5-VL asked for a verdict: two log-likelihoods from one prefill, and reasons on demand."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as PILImage
from torch import Tensor

from aligngemini.models.qwen import load_processor
from aligngemini.models.qwen_facts import MAX_PIXELS, MIN_PIXELS, visual_grid
from aligngemini.prompts import Prompt
from aligngemini.runtimes.folder import ModelError
from aligngemini.runtimes.vlm_weights import UNREADABLE, load_weights, pick_device

Pixels = npt.NDArray[np.uint8]

TOKENS_PER_BATCH = 8192
"""Visual tokens that go through the model at once."""


class Vlm:
    """A vision-language model, its adapter and its wording, ready to judge.

    Attributes:
        device: `cpu` or `cuda`: where it really runs.
    """

    def __init__(
        self,
        base: str | Path,
        *,
        adapter: str | Path | None = None,
        prompt: Prompt | None = None,
        min_pixels: int = MIN_PIXELS,
        max_pixels: int = MAX_PIXELS,
        device: str = "auto",
        threads: int | None = None,
        dtype: torch.dtype | None = None,
        four_bit: bool = False,
        tokens_per_batch: int = TOKENS_PER_BATCH,
    ) -> None:
        """Load the weights.

        Args:
            base: Folder of the base model.
            adapter: Folder of a PEFT adapter.
            prompt: The wording; the default one where None.
            min_pixels: Smaller images are enlarged to this many pixels.
            max_pixels: Larger ones are shrunk to this many.
            device: `auto`, `cpu` or `cuda`.
            threads: CPU threads of one forward pass, set for the whole process; None leaves
                PyTorch's.
            dtype: Of weights and computation; None is float32 on a CPU and bfloat16 on a GPU.
            four_bit: Whether to hold the base model's weights in four bits (bitsandbytes, NF4).
            tokens_per_batch: Visual tokens that go through the model at once; an image that has
                more goes alone.

        Raises:
            ModelError: The device is not there, or the weights, the adapter or the wording cannot
                be used.
        """
        self.device = pick_device(device)
        if threads is not None:
            torch.set_num_threads(threads)
        self.prompt = prompt or Prompt()
        self.min_pixels, self.max_pixels = min_pixels, max_pixels
        self.tokens_per_batch = tokens_per_batch
        try:
            self.processor = load_processor(base, min_pixels=min_pixels, max_pixels=max_pixels)
        except UNREADABLE as error:
            raise ModelError(
                f"cannot load the tokenizer or processor in {base}: {error}"
            ) from error
        self.model = load_weights(base, adapter, device=self.device, dtype=dtype, four_bit=four_bit)
        self._prefix, self._tails = self._split_verdicts()

    @classmethod
    def of(cls, model: Any, processor: Any, prompt: Prompt, *, device: str) -> "Vlm":
        """Around weights that are in memory already, as while they are trained.

        Args:
            model: In evaluation mode.
            processor: Its own, which also says how large images are seen.
            prompt: The wording.
            device: Where the weights are.

        Raises:
            ModelError: The wording cannot be used.
        """
        vlm = cls.__new__(cls)
        vlm.device, vlm.prompt, vlm.model, vlm.processor = device, prompt, model, processor
        size = processor.image_processor.size
        vlm.min_pixels, vlm.max_pixels = size["shortest_edge"], size["longest_edge"]
        vlm.tokens_per_batch = TOKENS_PER_BATCH
        vlm._prefix, vlm._tails = vlm._split_verdicts()
        return vlm

    def score(self, images: Sequence[Pixels]) -> npt.NDArray[np.float64]:
        """Log-likelihoods of the two verdict sentences as the beginning of the answer.

        Only the tokens behind the sentences' common beginning count: what comes before is read
        once an image, together with image and question, and adds the same to both.

        Args:
            images: (H, W, 3) uint8 RGB, of any sizes; images of one size go through the model
                together, so that nothing is padded.

        Returns:
            (N, 2), `fake` then `real`, in the images' order.
        """
        result = np.empty((len(images), 2))
        for batch in self._batches(images):
            result[batch] = self._score([images[k] for k in batch])
        return result

    @torch.inference_mode()
    def explain(self, image: Pixels, label: str, *, max_new_tokens: int = 160) -> str:
        """The reasons that follow when the answer opens with the verdict `label`.

        Args:
            image: (H, W, 3) uint8 RGB.
            label: `fake` or `real`.
            max_new_tokens: Length at the most; the text may end in mid-sentence.
        """
        inputs = self._inputs([image], self._tokens(self.prompt.verdict(label)))
        answer = self.model.generate(
            **inputs,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            # What the sampler of the model's own settings would take, and warn of otherwise.
            temperature=None,
            top_p=None,
            top_k=None,
        )
        new = answer[0, inputs["input_ids"].shape[1] :]
        return str(self.processor.tokenizer.decode(new, skip_special_tokens=True)).strip()

    def _batches(self, images: Sequence[Pixels]) -> Iterator[list[int]]:
        """Positions of images that share a size, as many as go through the model at once."""
        sizes: dict[tuple[int, int], list[int]] = defaultdict(list)
        for position, image in enumerate(images):
            height, width = image.shape[:2]
            grid = visual_grid(
                height, width, min_pixels=self.min_pixels, max_pixels=self.max_pixels
            )
            sizes[grid].append(position)
        for (rows, columns), positions in sizes.items():
            step = max(1, self.tokens_per_batch // (rows * columns))
            for start in range(0, len(positions), step):
                yield positions[start : start + step]

    @torch.inference_mode()
    def _score(self, images: Sequence[Pixels]) -> npt.NDArray[np.float64]:
        """The same as `score` for images that are resized to one size."""
        inputs = self._inputs(images, self._prefix)
        read = self.model(**inputs, use_cache=True, logits_to_keep=1)
        first = read.logits[:, -1].float().log_softmax(-1)
        totals = [self._follow(first, read.past_key_values, tail) for tail in self._tails]
        return torch.stack(totals, dim=1).double().cpu().numpy()

    def _follow(self, first: Tensor, cache: Any, tail: list[int]) -> Tensor:
        """Log-likelihood (B,) of a tail behind what the cache has read.

        Args:
            first: (B, vocabulary) log-probabilities of the tail's first token.
            cache: Keys and values of the prefix; left as it was.
            tail: Tokens.
        """
        total: Tensor = first[:, tail[0]]
        if len(tail) == 1:
            return total
        tokens = torch.tensor([tail], device=first.device).expand(len(first), -1)
        # Positions go on where the prefix ended: the model keeps its `rope_deltas` for that.
        following = self.model(input_ids=tokens[:, :-1], past_key_values=cache, use_cache=True)
        cache.crop(1 - len(tail))
        rest: Tensor = following.logits.float().log_softmax(-1)
        return total + rest.gather(2, tokens[:, 1:, None]).sum((1, 2))

    def _inputs(self, images: Sequence[Pixels], tokens: list[int]) -> dict[str, Tensor]:
        """The model's inputs for images of one size, all with the same tokens around them."""
        seen = self.processor.image_processor(
            images=[PILImage.fromarray(image) for image in images], return_tensors="pt"
        )
        image_token = self.processor.image_token_id
        merged = self.processor.image_processor.merge_size**2
        count = int(seen["image_grid_thw"][0].prod()) // merged
        place = tokens.index(image_token)
        row = [*tokens[:place], *[image_token] * count, *tokens[place + 1 :]]
        ids = torch.tensor([row]).expand(len(images), -1)
        inputs = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "mm_token_type_ids": (ids == image_token).int(),
            "pixel_values": seen["pixel_values"],
            "image_grid_thw": seen["image_grid_thw"],
        }
        return {name: value.to(self.device) for name, value in inputs.items()}

    def _split_verdicts(self) -> tuple[list[int], tuple[list[int], list[int]]]:
        """Tokens of the chat up to where the two verdicts part, and what is left of each."""
        fake, real = (self._tokens(self.prompt.verdict(label)) for label in ("fake", "real"))
        pairs = enumerate(zip(fake, real, strict=False))
        common = next((k for k, (a, b) in pairs if a != b), min(len(fake), len(real)))
        if common == min(len(fake), len(real)):
            raise ModelError(
                f"one verdict is the beginning of the other: {self.prompt.fake!r} and "
                f"{self.prompt.real!r}; word them so that they part"
            )
        return fake[:common], (fake[common:], real[common:])

    def _tokens(self, answer: str) -> list[int]:
        """The chat with one image, the question, and the beginning of an answer."""
        chat = chat_text(self.processor, self.prompt)
        return list(self.processor.tokenizer(chat + answer)["input_ids"])


def chat_text(processor: Any, prompt: Prompt) -> str:
    """The chat up to the answer, one placeholder for the image in it."""
    content: Any = [{"type": "image"}, {"type": "text", "text": prompt.question}]
    return str(
        processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
    )
