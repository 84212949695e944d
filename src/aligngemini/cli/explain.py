"""`aligngemini explain`: how a verdict came about, out of its record."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from aligngemini.cli import checks
from aligngemini.cli.parser import Parser

DESCRIPTION = """Say in plain words how a verdict came about, out of its record alone.

Branch by branch: what looked, its score and against which threshold it was read,
what was not looked at, which rule joined the answers, how often that is wrong, and
what would have made another verdict. No image is opened and no model loaded.
"""

EPILOG = """the id:
  Each record has one. It is computed of all that was judged, by what, and what came
  out, but for the file's path and the time it took; explain computes it again and
  says whether the record was changed since. It is no signature: who changes a record
  on purpose can compute the id anew.

exit codes:
  0    every record was explained, and matches its id
  1    some could not be read, or do not match their id; each is said
  2    wrong usage, or there was no record

examples:
  aligngemini detect photo.jpg --format jsonl --out verdicts.jsonl
  aligngemini explain verdicts.jsonl
  aligngemini detect photo.jpg --format json | aligngemini explain -
  aligngemini explain verdicts.jsonl --id 0fc5d9a6
"""

MOST_BYTES = 64 << 20
WIDTH = 88


class InputError(ValueError):
    """There is no record in what was given; the message says why."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = Parser(
        prog="aligngemini explain",
        usage="aligngemini explain RECORD [--id ID]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument(
        "record",
        metavar="RECORD",
        help="file of aligngemini detect --format json or jsonl, or - for standard input",
    )
    parser.add_argument("--id", metavar="ID", help="only the records whose id begins so")
    if not arguments:
        parser.print_help()
        return checks.WRONG_USE
    given = parser.parse_args(arguments)
    try:
        records = list(_records(_text(given.record)))
        if given.id is not None:
            records = [one for one in records if _begins(one, given.id)]
            if not records:
                raise InputError(f"no record in {given.record} has an id that begins {given.id}")
    except InputError as error:
        print(f"aligngemini explain: {error}", file=sys.stderr)
        return checks.WRONG_USE
    sound = [_explain(where, record) for where, record in records]
    return 0 if all(sound) else checks.SOME_NOT_JUDGED


def _text(name: str) -> str:
    try:
        if name == "-":
            data = _limited(sys.stdin.buffer)
        else:
            with Path(name).open("rb") as file:
                data = _limited(file)
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise InputError(
            f"{name} holds more than {MOST_BYTES >> 20} MB: give the lines that matter, as in "
            f"grep ID {name} | aligngemini explain -"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is no text: {error.reason} at byte {error.start}") from error


def _limited(file: BinaryIO) -> bytes:
    return file.read(MOST_BYTES + 1)


def _records(text: str) -> Iterator[tuple[str, Any]]:
    """Each record with a name for its place; a line that is no JSON is its own error.

    Raises:
        InputError: There is none at all.
    """
    if not text.strip():
        raise InputError("there is no record: the input is empty")
    try:
        whole = _json(text)
    except ValueError:
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield f"line {number}", _json_or_error(line)
        return
    if isinstance(whole, list):
        if not whole:
            raise InputError("there is no record: the list is empty")
        yield from ((f"record {number}", one) for number, one in enumerate(whole, start=1))
    else:
        yield "the record", whole


def _json_or_error(line: str) -> Any:
    try:
        return _json(line)
    except ValueError as error:
        return error


def _json(text: str) -> Any:
    """Strict JSON: no NaN, and none too deep to read.

    Raises:
        ValueError: It is no such.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deep for a record") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON number")


def _begins(record: tuple[str, Any], start: str) -> bool:
    found = record[1].get("id") if isinstance(record[1], dict) else None
    return isinstance(found, str) and found.startswith(start)


def _explain(where: str, record: Any) -> bool:
    """Print one explanation; whether the record could be read and matches its id."""
    from textwrap import fill

    from aligngemini.report import words
    from aligngemini.report.explain import explain, id_words
    from aligngemini.report.record import RecordError, parse_record

    try:
        if isinstance(record, ValueError):
            raise RecordError(f"no JSON: {record}")
        verdict = parse_record(record)
        matches, said = id_words(record)
    except RecordError as error:
        print(f"aligngemini explain: {where}: {words.printable(str(error))}", file=sys.stderr)
        return False
    print(words.printable(verdict.path) or "(no file)")
    print(fill(words.printable(f"{words.verdict_words(verdict)}. {said}"), WIDTH))
    for title, lines in explain(verdict):
        print(f"\n{title}")
        for line in lines:
            text = words.printable(line)
            print(fill(text, WIDTH, initial_indent="  ", subsequent_indent="    "))
    print()
    return matches
