"""Many images in a table, for people."""

from collections.abc import Iterator, Sequence
from typing import TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aligngemini.cli.people import Row
from aligngemini.report import words

STYLES: dict[words.Kind, str] = {
    "fake": "bold red",
    "undecided": "yellow",
    "real": "green",
    "unjudged": "magenta",
}

PLAIN_WIDTH = 140  # columns where no terminal says how many it has
ROWS_AT_A_TIME = 500  # one table of everything would be laid out in memory several times


def print_table(rows: Sequence[Row], stream: TextIO) -> None:
    """Print rows as a table as wide as the terminal."""
    width = None if stream.isatty() else PLAIN_WIDTH
    console = Console(file=stream, width=width, highlight=False, markup=False)
    for table in _tables(rows, console.width):
        # Through the stream itself: rich would end the program on a broken pipe.
        with console.capture() as capture:
            console.print(table)
        stream.write(capture.get())


def shorten(text: str, width: int) -> str:
    """Text cut in the middle to `width` terminal cells; the end, a file's name, keeps most."""
    if cell_len(text) <= width:
        return text
    head, tail = text, text
    while cell_len(head) > width // 3:
        head = head[:-1]
    while cell_len(tail) > width - 1 - cell_len(head):
        tail = tail[1:]
    return f"{head}\u2026{tail}"


def _tables(rows: Sequence[Row], width: int) -> Iterator[Table]:
    """The rows in tables of one layout, the first one with a header."""
    names = [shorten(row.name, max(20, width * 2 // 5)) for row in rows]
    widest = max((cell_len(name) for name in names), default=0)
    for start in range(0, len(rows), ROWS_AT_A_TIME):
        table = Table(box=box.SIMPLE_HEAD, show_header=start == 0, pad_edge=False, expand=False)
        table.add_column("File", width=max(4, widest), overflow="fold")
        table.add_column("Result", width=max(map(len, words.KIND_WORDS.values())))
        table.add_column("Score", width=6, justify="right")
        table.add_column("Why, and what the file says of itself", ratio=1, overflow="fold")
        end = start + ROWS_AT_A_TIME
        for name, row in zip(names[start:end], rows[start:end], strict=True):
            result = Text(row.result, style=STYLES[row.kind])
            table.add_row(Text(name), result, Text(row.score), Text(row.why))
        yield table
