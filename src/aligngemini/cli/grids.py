"""Tables of figures on the terminal."""

from typing import TYPE_CHECKING, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aligngemini.cli.table import PLAIN_WIDTH
from aligngemini.report.words import printable

if TYPE_CHECKING:
    from aligngemini.evaluation.blocks import Grid


def print_grid(grid: "Grid", stream: TextIO) -> None:
    """Print a table with its heading and note, as wide as the terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    for k, head in enumerate(grid.header):
        table.add_column(Text(printable(head)), justify="left" if k < grid.left else "right")
    for row in grid.rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    width = None if stream.isatty() else PLAIN_WIDTH
    console = Console(file=stream, width=width, highlight=False, markup=False)
    # Through the stream itself: rich would end the program on a broken pipe.
    with console.capture() as capture:
        console.print(Text(f"\n{printable(grid.title)}", style="bold"))
        console.print(table)
        if grid.note:
            console.print(Text(printable(grid.note), style="dim"))
    stream.write(capture.get())
