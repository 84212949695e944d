"""`table.json`: the table of an evaluation, for programs."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aligngemini.evaluation.metrics import Interval
from aligngemini.evaluation.scores import ScoresError
from aligngemini.evaluation.tables import FIGURES, Line, Summary, Table
from aligngemini.settings import write_text


def write_table(table: Table, path: Path) -> None:
    """Write a table as JSON, whole or not at all. The same table gives the same bytes.

    Beside the fields of `Table` there is `meaning`, what each figure says.

    Raises:
        OSError: The disk would not take it.
    """
    text = json.dumps({**asdict(table), "meaning": FIGURES}, indent=1, allow_nan=False)
    write_text(f"{text}\n", path)


def read_table(path: Path) -> Table:
    """Read what `write_table` wrote.

    Raises:
        ScoresError: There is no such file, or it is no table.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Table(
            benchmark=str(values["benchmark"]),
            models={str(name): str(model) for name, model in values["models"].items()},
            lines=tuple(_line(line) for line in values["lines"]),
            summaries=tuple(Summary(**summary) for summary in values["summaries"]),
            notes=tuple(map(str, values["notes"])),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ScoresError(f"{path} is no table of aligngemini evaluate: {error}") from error


def _line(values: Mapping[str, Any]) -> Line:
    figures = {
        name: None if figure is None else Interval(**figure)
        for name, figure in values["figures"].items()
    }
    return Line(**{**values, "figures": figures})
