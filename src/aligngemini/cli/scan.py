"""`aligngemini scan`: millions of images into a store that loses nothing."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from aligngemini.cli import checks, detector_options
from aligngemini.cli.parser import Parser, seconds

DESCRIPTION = """Judge whatever is in the sources into a store, one SQLite file.

Nothing is judged twice: not a file that is there unchanged, not a copy of it elsewhere,
not after Ctrl-C, a crash or kill -9. The same command goes on where it was. Files that
cannot be judged are kept with the reason.
"""

EPILOG = """sources:
  folders, files, quoted patterns; tar and zip archives; webdataset shards; Parquet with
  images or paths in it; manifests (CSV, JSON Lines, Parquet); s3://, gs:// and http(s)://
  of any of these; shard-{000..012}.tar. See docs/scan-sources.md.

commands on a store:
  scan status --store F            what is in it, errors by code, drift
  scan retry --errors --store F    try again what may work by now
  scan export jsonl --store F --out O
                                   records as aligngemini detect writes them; also csv,
                                   parquet, html

A source called like one of these commands is written ./status. Several processes may
scan into one store at the same time; each input is judged by one of them.

exit codes:
  0    every input has a verdict
  1    some inputs could not be judged; they are in the store, with the reason
  2    wrong usage or configuration, no input, or the store cannot be written
  130  stopped by Ctrl-C (143: by SIGTERM); what was judged is in the store

examples:
  aligngemini scan photos/ --store photos.sqlite
  aligngemini scan "shards/*.tar" s3://bucket/images/ --store all.sqlite --workers 16
  aligngemini scan inbox/ --store inbox.sqlite --watch --metrics /var/lib/metrics/scan.prom
  aligngemini scan status --store photos.sqlite
"""

if TYPE_CHECKING:
    import argparse


WATCH_SECONDS = 10.0
ACTIONS = ("status", "retry", "export")


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    if arguments and arguments[0] in ACTIONS:
        action = import_module(f"aligngemini.cli.scan_{arguments[0]}")
        code: int = action.main(arguments[1:])
        return code
    parser = _parser()
    if not arguments:
        parser.print_help()
        return checks.WRONG_USE
    given, specs = parser.parse_with_inputs(arguments, "sources")
    if not specs:
        parser.error("say what to scan: SOURCE")
    try:
        detector_options.check_reading(given)
        _check(specs, given)
    except checks.UsageError as error:
        parser.error(str(error))

    from aligngemini.cli.scan_run import Running, run
    from aligngemini.scan.request import Request

    request = Request.of(
        specs,
        detector_options.reading_options_of(given),
        column=given.column,
        near=given.near_duplicates,
    )
    running = Running(
        store=given.store,
        workers=given.workers,
        timeout=given.timeout,
        watch=given.watch,
        metrics=given.metrics,
        engine=given.engine,
        address=given.address,
        pools=tuple(given.pool or ()),
    )
    return run(request, running, prog=parser.prog)


def _check(specs: Sequence[str], given: "argparse.Namespace") -> None:
    """Make sure that the options of the scan itself make sense.

    Raises:
        UsageError: They do not.
    """
    if not given.store.parent.is_dir():
        raise checks.UsageError("--store", f"no such folder: {given.store.parent}")
    if given.store.is_dir():
        raise checks.UsageError("--store", f"{given.store} is a folder: name a file")
    if given.engine == "local" and (given.address or given.pool):
        raise checks.UsageError("--address, --pool", "they are for --engine ray")
    if given.watch and "-" in specs:
        raise checks.UsageError("--watch", "names on standard input come only once")
    if given.engine == "ray" and given.watch:
        raise checks.UsageError("--watch", "only the local engine watches")
    if given.near_duplicates != "off":
        _check_near(given.engine)
    if given.engine == "ray" and given.workers:
        raise checks.UsageError("--workers", "give --engine ray its --pool instead")


def _check_near(engine: str) -> None:
    """Make sure that near-duplicates can be looked for.

    Raises:
        UsageError: They cannot.
    """
    from importlib.util import find_spec

    if engine == "ray":
        raise checks.UsageError("--near-duplicates", "only the local engine looks for them")
    if find_spec("imagehash") is None:
        raise checks.UsageError(
            "--near-duplicates", "ImageHash is missing: pip install 'aligngemini[scan]'"
        )


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini scan",
        usage="aligngemini scan SOURCE... --store FILE [options]\n"
        "       aligngemini scan status|retry|export ... --store FILE",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="see below")
    add = parser.add_argument_group("what to scan, and where to").add_argument
    add(
        "--store",
        type=Path,
        required=True,
        metavar="FILE",
        help="SQLite file that keeps everything; made where there is none, and gone on with "
        "where there is one",
    )
    add(
        "--column",
        metavar="NAME",
        help="of tables: where the images, paths or URLs are (default: the usual ones)",
    )
    add(
        "--watch",
        type=seconds,
        nargs="?",
        const=WATCH_SECONDS,
        metavar="SECONDS",
        help="look for new and changed inputs again and again, so many seconds after each look "
        f"(default: {WATCH_SECONDS:g}); Ctrl-C ends it",
    )
    add(
        "--near-duplicates",
        choices=("off", "list", "skip"),
        nargs="?",
        const="list",
        default="off",
        metavar="skip",
        help="group images that look alike, whatever their size and quality; with skip, only the "
        "first of a group is judged and the others take its verdict over, which says less: a copy "
        "that was saved again can lose or gain traces",
    )
    group = parser.add_argument_group("how to judge")
    detector_options.add_models(group)
    detector_options.add_reading(group)
    group = parser.add_argument_group("how to run")
    detector_options.add_running(group)
    add = group.add_argument
    add(
        "--metrics",
        type=Path,
        metavar="FILE.prom",
        help="keep rate, errors, time by stage and load by branch here, as Prometheus text",
    )
    add(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray spreads the work over a cluster; see docs/scan-cluster.md",
    )
    add("--address", metavar="A", help="of the Ray cluster (default: one is started here)")
    add(
        "--pool",
        action="append",
        metavar="KIND=WORKERS[:GPUS]",
        help="with ray: workers of their own for pixel, gamma or semantic",
    )
    return parser
