"""A vision-language model in this process."""

from collections.abc import Sequence

from aligngemini.branches.semantic.backend import Answer, AnswerError, Pixels
from aligngemini.evidence import Problem
from aligngemini.runtimes.semantic_folder import SemanticFolder
from aligngemini.runtimes.vlm import Vlm


class LocalBackend:
    """A semantic model folder on PyTorch; see `Backend`."""

    def __init__(
        self,
        folder: SemanticFolder,
        *,
        device: str = "auto",
        threads: int | None = None,
        four_bit: bool = False,
    ) -> None:
        """Load the weights.

        Args:
            folder: A checked one.
            device: `auto`, `cpu` or `cuda`.
            threads: CPU threads of one forward pass; None leaves PyTorch's.
            four_bit: Whether to hold the base model in four bits.

        Raises:
            ModelError: See `Vlm`.
        """
        self.name, self.fingerprint = folder.name, folder.fingerprint
        self.prompt, self.calibration = folder.settings.prompt, folder.calibration
        self.vlm = Vlm(
            folder.base,
            adapter=folder.adapter,
            prompt=folder.settings.prompt,
            min_pixels=folder.settings.min_pixels,
            max_pixels=folder.settings.max_pixels,
            device=device,
            threads=threads,
            four_bit=four_bit,
        )

    def answer(self, images: Sequence[Pixels]) -> list[Answer | Problem]:
        """See `Backend`."""
        try:
            pairs = self.vlm.score(images)
        except (RuntimeError, ValueError) as error:  # out of memory among them
            if len(images) == 1:
                return [_failed(error)]
            return [answer for image in images for answer in self.answer([image])]
        return [Answer(log_odds=float(fake - real)) for fake, real in pairs]

    def explain(self, image: Pixels, label: str) -> str:
        """See `Backend`."""
        try:
            return self.vlm.explain(image, label)
        except (RuntimeError, ValueError) as error:
            raise AnswerError(_failed(error)) from error


def _failed(error: Exception) -> Problem:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return Problem("internal", f"the vision-language model failed: {reason}")
