"""Experts that others published, by the name users give."""

from dataclasses import dataclass


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
