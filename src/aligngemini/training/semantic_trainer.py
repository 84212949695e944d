"""TRL's trainers, measured by what the semantic branch will do: which verdict is likelier."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import EvalPrediction, Trainer
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.sft_trainer import SFTTrainer

from aligngemini.prompts import Prompt
from aligngemini.runtimes.vlm import Vlm
from aligngemini.training.expert_trainer import figures
from aligngemini.training.semantic_data import labels_of

IMAGES_AT_ONCE = 64


class VerdictMixin(Trainer):
    """Measures the verdicts on the held-out pairs, in place of the objective."""

    prompt: Prompt

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """See `verdict_figures`; every process measures all of the pairs."""
        model: Any = self.model
        model.eval()
        found = verdict_figures(
            model,
            self.processing_class,
            eval_dataset or self.eval_dataset,
            self.prompt,
            device=str(self.args.device),
        )
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in found.items()}
        self.log(metrics)
        model.train()
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics


class VerdictDPOTrainer(VerdictMixin, DPOTrainer):
    """DPO, measured by its verdicts."""


class VerdictSFTTrainer(VerdictMixin, SFTTrainer):
    """Supervised fine-tuning, measured by its verdicts."""


def verdict_figures(
    model: Any, processor: Any, pairs: Dataset, prompt: Prompt, *, device: str
) -> dict[str, float]:
    """How well the likelier of the two verdicts is the right one.

    Args:
        model: In evaluation mode.
        processor: Its own.
        pairs: With `images` and `label`.
        prompt: Their wording.
        device: Where the model is.

    Returns:
        All in [0, 1], by the names in `FIGURES`, at the score 0.5.
    """
    vlm = Vlm.of(model, processor, prompt, device=device)
    scores = np.concatenate([vlm.score(images) for images in _images(pairs)])
    fake = np.asarray([label == "fake" for label in labels_of(pairs)])
    prediction = EvalPrediction(predictions=scores[:, 0] - scores[:, 1], label_ids=fake)
    return figures(prediction, 0.5)


def _images(pairs: Dataset) -> Iterator[list[np.ndarray[Any, Any]]]:
    for start in range(0, len(pairs), IMAGES_AT_ONCE):
        rows = pairs[start : start + IMAGES_AT_ONCE]["images"]
        yield [np.asarray(images[0]) for images in rows]
