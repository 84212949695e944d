"""Models by the name users give: what is taken unasked, and what others published."""

from dataclasses import dataclass

DEFAULT_GAMMA = "off"
"""The GAMMA model where nobody names one."""


@dataclass(frozen=True)
class Published:
    """A checkpoint on the Hub.

    Attributes:
        repo: Its repository.
        file: Its name there.
        about: What it is, for lists.
    """

    repo: str
    file: str
    about: str


PUBLISHED = {
    "dda": Published(
        repo="Junwei-Xi/Dual-Data-Alignment",
        file="DDA_ckpt.pth",
        about="DINOv2 ViT-L/14 of arXiv 2505.14359, 1.3 GB",
    ),
}
