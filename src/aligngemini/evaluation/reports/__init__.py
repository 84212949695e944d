"""Reports of an evaluation: Markdown, CSV, LaTeX, JSON and one self-contained HTML page."""

from aligngemini.evaluation.reports.write import headline, write_reports

__all__ = ["headline", "write_reports"]
