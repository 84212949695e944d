"""The HTML report: one file that needs nothing but a browser."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO

import numpy.typing as npt
from markupsafe import Markup

from aligngemini.report import words
from aligngemini.report.explain import explain
from aligngemini.report.files import check_target, replacing
from aligngemini.report.overlay import ANCHORS, MOVED_ANCHORS, heatmap_png
from aligngemini.report.page import data_uri, environment, policy
from aligngemini.verdict import Verdict
from aligngemini.version import __version__


class HtmlReport:
    """Collects verdicts and closes to one self-contained HTML page.

    Entries go to disk as they come, so memory stays flat however many there are. The page appears
    at `path` only when the block ends, complete and in one step; a block that ends by an exception
    or Ctrl-C still leaves a readable page, which says how far it came.

    The page makes no request to anywhere, and its Content-Security-Policy lets only its own style
    and script run, so text out of a hostile file stays text.

    Example:
        >>> with HtmlReport("report.html", about={"Folder": "press"}) as report:  # doctest: +SKIP
        ...     report.add(verdict, preview_jpeg(image), heatmap)
    """

    def __init__(
        self,
        path: str | Path,
        *,
        title: str = "Image report",
        about: Mapping[str, str] | str = "",
    ) -> None:
        """Say what the page will be; nothing is written before the `with` block begins.

        Args:
            path: Where the page goes. Its folder must exist; an older report is replaced.
            title: Heading of the page.
            about: What was judged and with what: a line of text, or names and values.
        """
        self.path = Path(path)
        self.title = title
        self.about: dict[str, str] = {"": about} if isinstance(about, str) else dict(about)
        self.counts: Counter[words.Kind] = Counter()
        self._layers: set[str] = set()
        self._end = 0
        self._cards: IO[bytes]
        self._templates = environment("aligngemini.report")
        self._templates.globals["words"] = words
        self._card = self._templates.get_template("card.html.j2")

    def __enter__(self) -> "HtmlReport":
        """Begin the report.

        Raises:
            OSError: The folder is missing or cannot be written, or the path is no regular file.
                Better now than after hours of work.
        """
        folder = check_target(self.path).parent
        # Unnamed, so that nothing is left behind even by a process that is killed.
        self._cards = tempfile.TemporaryFile(dir=folder)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the page, whatever ended the block. Exceptions go on to the caller."""
        with self._cards, replacing(self.path) as page:
            self._write(page, _stopped_by(error))

    def add(
        self,
        verdict: Verdict,
        preview: bytes | None = None,
        heatmap: npt.ArrayLike | None = None,
        maps: Mapping[str, bytes] | None = None,
    ) -> None:
        """Add one image, judged or not, after those already there.

        Args:
            verdict: What was said of it.
            preview: JPEG of it, as `preview_jpeg` makes; None when it could not be decoded.
            heatmap: (h, w) in [0, 1], NaN where nobody looked; needs a preview to lie on. Left out
                where it is no more than the maps together.
            maps: PNGs of the maps that say where, by name, as `map_png` makes; likewise.

        Raises:
            ValueError: The heatmap is not two-dimensional.
            OSError: The disk would not take it.
        """
        layers: dict[str, Markup] = {}
        if preview is not None and heatmap is not None and not (maps and _of_maps(verdict)):
            layers["heatmap"] = data_uri("image/png", heatmap_png(heatmap))
        if preview is not None and maps:
            layers |= {name: data_uri("image/png", data) for name, data in maps.items()}
        kind = words.kind_of(verdict)
        card = self._card.render(
            verdict=verdict,
            kind=kind,
            position=self.counts.total() + 1,
            name=verdict.path.replace("\\", "/").rstrip("/").rpartition("/")[2] or "(no name)",
            scale=verdict.scale,
            titles=words.branch_titles(verdict),
            explanation=explain(verdict),
            preview=None if preview is None else data_uri("image/jpeg", preview),
            layers=layers,
        )
        self._cards.write(card.encode())
        # Counted only now: an interrupted card is neither counted nor shown.
        self._end = self._cards.tell()
        self.counts[kind] += 1
        self._layers |= layers.keys()

    def _write(self, page: BinaryIO, stopped: str | None) -> None:
        style = self._templates.get_template("style.css.j2").render(
            anchors=ANCHORS, moved_anchors=MOVED_ANCHORS
        )
        script = files(__package__).joinpath("templates/script.js").read_text(encoding="utf-8")
        context = {
            "title": self.title,
            "about": self.about,
            "counts": self.counts,
            "total": self.counts.total(),
            "layers": self._layers,
            "stopped": stopped,
            "style": Markup(style),  # noqa: S704 - ours, and the hash below allows nothing else
            "script": Markup(script),  # noqa: S704 - ours
            "policy": policy(style, script),
            "version": __version__,
            "now": datetime.now(timezone.utc),
        }
        page.write(self._templates.get_template("head.html.j2").render(context).encode())
        self._cards.truncate(self._end)
        self._cards.seek(0)
        shutil.copyfileobj(self._cards, page)
        page.write(self._templates.get_template("foot.html.j2").render(context).encode())


def _of_maps(verdict: Verdict) -> bool:
    """Whether the score, and so the heatmap, is that of the branch with maps."""
    return verdict.deciding is not None and verdict.deciding.areas is not None


def _stopped_by(error: BaseException | None) -> str | None:
    if error is None:
        return None
    if isinstance(error, KeyboardInterrupt):
        return "by an interruption"
    return f"by an error: {type(error).__name__}: {error}"
