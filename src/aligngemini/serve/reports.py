"""The HTML report as an answer."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from aligngemini.report.html import HtmlReport
from aligngemini.runner import Judged


def report_of(judged: Iterable[Judged]) -> bytes:
    """The page that `aligngemini detect --report` writes.

    It passes through a temporary folder, previews and all, and is gone from there at once.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        with HtmlReport(path) as report:
            for one in judged:
                report.add(one.verdict, one.preview, one.heatmap, one.maps)
        return path.read_bytes()
