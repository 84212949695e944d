"""What reports are made of: tables of texts, lists, plots and pictures, before any markup."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

from aligngemini.report.words import printable

_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#~"})
_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "\u00b1": r"$\pm$",
        "\u2013": "--",
        "\u2212": r"$-$",
    }
)


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        title: Heading.
        header: A text a column.
        rows: Texts, as many a row as the header has.
        note: What must be known beside it.
        left: How many of the first columns are words; the others are numbers, set to the right.
    """

    kind: ClassVar[str] = "grid"
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    left: int = 1


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    kind: ClassVar[str] = "points"
    title: str
    items: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class Plot:
    """A drawing; `svg` is ours and safe to put on a page as it is."""

    kind: ClassVar[str] = "plot"
    title: str
    svg: Markup
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """One image of a gallery.

    Attributes:
        source: A data URI, or None where the image could not be shown.
        name: Its path.
        caption: What is said of it, and why it is not shown if it is not.
    """

    source: Markup | None
    name: str
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Images side by side."""

    kind: ClassVar[str] = "gallery"
    title: str
    pictures: tuple[Picture, ...]
    note: str = ""


@dataclass(frozen=True)
class Fold:
    """Tables that belong together, which a page folds away.

    Attributes:
        title: Heading.
        grids: The tables.
        note: What must be known beside them.
        opened: Whether the page shows them at first.
    """

    kind: ClassVar[str] = "fold"
    title: str
    grids: tuple[Grid, ...]
    note: str = ""
    opened: bool = False


Block = Grid | Points | Plot | Gallery | Fold


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def markdown(title: str, lead: str, blocks: Sequence[Block]) -> str:
    """A page in Markdown; plots and pictures are left to the page in HTML.

    Args:
        title: Heading.
        lead: What is said first.
        blocks: In their order.
    """
    parts = [f"# {_md(title)}", f"**{_md(lead)}**"]
    for block in blocks:
        if isinstance(block, Fold):
            parts.append(f"## {_md(block.title)}")
            parts += [_md(block.note)] if block.note else []
            parts += [text for grid in block.grids for text in _markdown_part(grid, "###")]
        elif isinstance(block, (Grid, Points)):
            parts += _markdown_part(block, "##")
    return "\n\n".join(parts) + "\n"


def latex(grid: Grid, label: str) -> str:
    """A table in LaTeX, to be set with the package booktabs.

    Args:
        grid: The table; its note goes into the caption.
        label: For references, after `tab:`.
    """
    columns = "l" * grid.left + "r" * (len(grid.header) - grid.left)
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{_tex(' '.join(filter(None, (grid.title + '.', grid.note))))}}}",
        rf"  \label{{tab:{label}}}",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        f"    {_tex_row(grid.header)}",
        r"    \midrule",
        *(f"    {_tex_row(row)}" for row in grid.rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _markdown_part(block: Grid | Points, heading: str) -> list[str]:
    """Heading, body and note."""
    if isinstance(block, Grid):
        body = _markdown_grid(block)
    else:
        body = "\n".join(f"- {_md(item)}" for item in block.items)
    return list(filter(None, (f"{heading} {_md(block.title)}", body, _md(block.note))))


def _markdown_grid(grid: Grid) -> str:
    """Padded, so that it reads well in a terminal too."""
    table = [[_md(cell) for cell in row] for row in (grid.header, *grid.rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    rule = [
        "-" * width if k < grid.left else "-" * (width - 1) + ":" for k, width in enumerate(widths)
    ]
    lines = [
        [
            cell.ljust(width) if k < grid.left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in (table[0], rule, *table[1:])
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _md(text: str) -> str:
    return " ".join(printable(text).translate(_MARKDOWN).split())


def _tex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(_tex, cells)) + r" \\"


def _tex(text: str) -> str:
    return " ".join(printable(text).translate(_LATEX).split())
