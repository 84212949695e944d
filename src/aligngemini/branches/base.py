"""What every branch promises."""

from collections.abc import Sequence
from typing import Protocol

from aligngemini.evidence import Evidence
from aligngemini.images.item import Image


class Branch(Protocol):
    """One way of looking at an image.

    Attributes:
        name: The key of this branch in every record.
        fingerprint: Changes whenever the numbers could; part of every record through
            `Evidence.model`.
    """

    name: str

    @property
    def fingerprint(self) -> str:
        """See the class."""
        ...

    def judge(self, images: Sequence[Image], *, heatmaps: bool = False) -> list[Evidence]:
        """Evidence for each image, in order.

        Of a picture that is out of scope a branch that looks at it says `undecided`, with
        `Image.scope.remark` as its remark.

        Args:
            images: Decoded images of any size.
            heatmaps: Whether to fill `Evidence.heatmap` and `Evidence.maps` where the branch can.
        """
        ...
