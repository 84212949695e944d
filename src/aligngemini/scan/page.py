"""The images of a store that look most like a generator's, as a page for people."""

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from aligngemini.evidence import Problem
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.item import ImageError
from aligngemini.isolation import map_isolated
from aligngemini.report.html import HtmlReport
from aligngemini.report.overlay import preview_jpeg
from aligngemini.runner import MEMORY, TIMEOUT
from aligngemini.scan.export import read_record, verdict_of
from aligngemini.scan.status import KnownDetector
from aligngemini.scan.store import Store, from_column
from aligngemini.verdict import Verdict

# One input a content, the first there was.
_HIGHEST = """
SELECT i.address, j.record, (SELECT count(*) FROM inputs c WHERE c.sha256 = j.sha256)
FROM judgments j
JOIN inputs i ON i.id = (SELECT min(first.id) FROM inputs first WHERE first.sha256 = j.sha256)
WHERE j.detector = ? AND j.verdict IS NOT NULL
ORDER BY j.verdict = 'fake' DESC, j.score DESC, j.id LIMIT ?
"""


def highest(store: Store, detector: KnownDetector, most: int) -> list[Verdict]:
    """The images that say `fake`, and then those with the highest scores.

    Copies are one image, which says in its notes how many there are.

    Raises:
        StoreError: The store cannot be read.
    """
    with store.explained():
        found = store.connection.execute(_HIGHEST, (detector.id, most)).fetchall()
    verdicts = []
    for address, record, copies in found:
        path = from_column(address)
        verdict = verdict_of(path, read_record(path, record))
        if copies > 1:
            note = f"in {copies:,} places with the very same bytes"
            verdict = replace(verdict, notes=(*verdict.notes, note))
        verdicts.append(verdict)
    return verdicts


def write_page(verdicts: list[Verdict], path: Path, about: Mapping[str, str]) -> None:
    """Write a page that shows these images, where they can still be read as files.

    Args:
        verdicts: In the order of the page.
        path: Of the page; replaced when it is whole.
        about: What it was made of: names and values.

    Raises:
        OSError: It cannot be written.
    """
    with HtmlReport(path, title="Highest scores of a scan", about=about) as report:
        previews = _previews(verdicts)
        with closing(previews):
            for verdict, preview in zip(verdicts, previews, strict=True):
                report.add(verdict, preview)


def _previews(verdicts: list[Verdict]) -> Generator[bytes | None, None, None]:
    wanted = [(verdict.path, verdict.sha256) for verdict in verdicts]
    answers = map_isolated(_previewing, wanted, workers=1, timeout=TIMEOUT, memory=MEMORY)
    with closing(answers):
        for answer in answers:
            yield None if isinstance(answer, Problem) else answer


def _previewing() -> Callable[[tuple[str, str | None]], bytes | None]:
    """What a worker does: the file was made by others, and is decoded there."""
    return _preview


def _preview(wanted: tuple[str, str | None]) -> bytes | None:
    """A small JPEG of a file, unless it is no longer the one that was judged."""
    path, sha256 = wanted
    try:
        image = decode(read_bytes(path), path=path)
    except ImageError:
        return None
    return preview_jpeg(image) if image.sha256 == sha256 else None
