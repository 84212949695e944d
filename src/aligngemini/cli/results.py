"""Where results go: opened with the first one, completed however the run ends."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligngemini.cli.people import People
from aligngemini.cli.records import Csv, JsonArray, JsonLines, Records
from aligngemini.cli.summary import Summary

if TYPE_CHECKING:
    from aligngemini.report.html import HtmlReport
    from aligngemini.runner import Judged

KINDS: dict[str, Callable[[Any], Records]] = {
    "table": People,
    "json": JsonArray,
    "jsonl": JsonLines,
    "csv": Csv,
}


@dataclass(frozen=True)
class Targets:
    """What to write and where; checked already.

    Attributes:
        format: `table`, `json`, `jsonl` or `csv`.
        out: File for the results; None is standard output.
        report: File for the page, or None.
        heatmaps: Folder for overlays, or None.
        experts: Pixel experts that judge.
        gamma: Whether a GAMMA model does.
        stability: Whether images are judged again under mild changes.
    """

    format: str
    out: Path | None = None
    report: Path | None = None
    heatmaps: Path | None = None
    experts: int = 1
    gamma: bool = False
    stability: bool = False


class Results:
    """Hands what was judged to every target.

    Nothing is opened before the first result, so that a run that cannot start leaves the files of
    an earlier one alone.

    Attributes:
        summary: Counts of what was added.
    """

    def __init__(self, targets: Targets, summary: Summary, about: dict[str, str]) -> None:
        self.summary = summary
        self._targets = targets
        self._about = about
        self._exits = ExitStack()
        self._records: Records | None = None
        self._report: HtmlReport | None = None

    @property
    def opened(self) -> bool:
        """Whether any target has been touched."""
        return self._records is not None

    def add(self, judged: "Judged") -> None:
        """Write one result everywhere."""
        records = self._open()
        self.summary.add(judged.verdict)
        records.add(judged.verdict)
        if self._report is not None:
            self._report.add(judged.verdict, judged.preview, judged.heatmap, judged.maps)

    def finish(self, not_images: int, stopped: BaseException | None = None) -> None:
        """Complete every target, and tell people what there is.

        Args:
            not_images: Files in folders that were left out because they are no images.
            stopped: What ended the run early, if anything did.
        """
        self._open().close(self.summary, not_images)
        self._exits.__exit__(None if stopped is None else type(stopped), stopped, None)
        out = self._targets.out
        if self._targets.format != "table" or out is not None:
            where = "" if out is None else f" Written to {out}."
            print(f"{self.summary.headline()}{where}", file=sys.stderr)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Should writing one target fail in the block, complete the others all the same."""
        try:
            yield
        except OSError as error:
            with suppress(OSError):
                self._exits.__exit__(type(error), error, None)
            raise

    def _open(self) -> Records:
        if self._records is not None:
            return self._records
        if self._targets.report is not None:
            from aligngemini.report.html import HtmlReport

            report = HtmlReport(self._targets.report, about=self._about)
            self._report = self._exits.enter_context(report)
        self._records = self._open_records(self._targets.out)
        return self._records

    def _open_records(self, out: Path | None) -> Records:
        kind = KINDS[self._targets.format]
        if self._targets.format == "csv":
            kind = partial(
                Csv,
                experts=self._targets.experts,
                gamma=self._targets.gamma,
                stability=self._targets.stability,
            )
        text = self._targets.format == "table"
        if out is None:
            return kind(sys.stdout if text else sys.stdout.buffer)
        file = out.open("w", encoding="utf-8") if text else out.open("wb")
        return kind(self._exits.enter_context(file))
