"""What the vision-language model is asked, and the sentences its verdict opens with.

No source gives the papers' wording (AlignGemini, section 3, speaks of verdict prefixes only); this
is our own. It travels with an adapter, because a model is trained on one wording.
"""

from dataclasses import dataclass

from aligngemini.settings import SettingsError

QUESTION = (
    "Look at what this picture shows, not at its quality. Is the scene possible in the real world? "
    "Check anatomy, physics, light and shadow, reflections, perspective, text, and whether objects "
    "and their parts belong together. Begin with your verdict, then give your reasons."
)


@dataclass(frozen=True)
class Prompt:
    """The wording of the semantic branch.

    Attributes:
        question: Stands beside the image.
        fake: First sentence of an answer that finds the image impossible.
        real: First sentence of one that finds nothing impossible in it.
    """

    question: str = QUESTION
    fake: str = "This image is fake."
    real: str = "This image is real."

    def __post_init__(self) -> None:
        if self.fake == self.real or not self.fake or not self.real or not self.question:
            raise SettingsError("the two verdicts must differ, and none of the texts be empty")

    def verdict(self, label: str) -> str:
        """The sentence that opens an answer, by label."""
        return {"fake": self.fake, "real": self.real}[label]
