"""The images a detector is most wrong about, small enough to travel in a page."""

from collections.abc import Sequence

from markupsafe import Markup

from aligngemini.evaluation.blocks import Gallery, Picture
from aligngemini.evaluation.scores import ScoreRow
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.item import ImageError
from aligngemini.report.overlay import preview_jpeg
from aligngemini.report.page import data_uri
from aligngemini.report.words import number

MOST = 12  # of each class
SIDE = 240  # pixels


def most_wrong(
    rows: Sequence[ScoreRow], protocol: str, branch: str, *, most: int = MOST
) -> list[Gallery]:
    """Photos that scored highest and fakes that scored lowest, the worst first.

    A file that is gone or cannot be opened any more keeps its place, with the reason.

    Args:
        rows: Scores of an evaluation.
        protocol: Whose scores count.
        branch: Likewise.
        most: Images of each class.
    """
    judged = [
        row
        for row in rows
        if (row.protocol, row.branch) == (protocol, branch) and row.score is not None
    ]
    galleries = []
    for label, sign, title in (
        ("real", -1, "Photos that scored highest"),
        ("fake", 1, "Fakes that scored lowest"),
    ):
        of_label = {row.path: row for row in judged if row.label == label}.values()
        ranked = sorted(of_label, key=lambda row: (sign * (row.score or 0.0), row.path))[:most]
        if ranked:
            galleries.append(
                Gallery(
                    f"{title} ({branch}, {protocol})",
                    tuple(_picture(row) for row in ranked),
                    "Shown as the files are, without what the protocol did to them.",
                )
            )
    return galleries


def _picture(row: ScoreRow) -> Picture:
    caption = f"{number(row.score or 0.0, row.threshold, row.threshold_real)} \u00b7 " + (
        row.generator or row.source or row.label
    )
    try:
        image = decode(read_bytes(row.path), path=row.path)
    except ImageError as error:
        return Picture(None, row.path, f"{caption}; {error.message}")
    source: Markup = data_uri("image/jpeg", preview_jpeg(image, SIDE))
    return Picture(source, row.path, caption)
