"""`aligngemini serve`: the HTTP service."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligngemini.cli import checks, detector_options
from aligngemini.cli.parser import Parser, positive_int, seconds

if TYPE_CHECKING:
    from aligngemini.serve.settings import ServiceSettings

DESCRIPTION = """Judge images over HTTP: a page for people at /, an API for programs at /v1.

Images are judged in worker processes and kept nowhere, unless asked. What cannot
be taken on is refused at once, and told when to come again.
"""

EPILOG = """who may use it:
  Whoever reaches the address. It is this machine alone unless --host says
  otherwise; then put it behind a proxy that speaks HTTPS, and give --api-keys.

exit codes:
  0    stopped by Ctrl-C or SIGTERM, everything accepted was answered
  2    wrong usage or configuration: a model that does not load, a port in use

examples:
  aligngemini serve
  aligngemini serve --host 0.0.0.0 --api-keys keys.txt --workers 8
  curl -F file=@photo.jpg http://127.0.0.1:8000/v1/detect
  curl -F file=@a.jpg -F file=@b.jpg "http://127.0.0.1:8000/v1/detect?heatmaps=true"
  curl http://127.0.0.1:8000/openapi.json
"""

NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client", "httpx")
MB = MEGA = 1_000_000


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        parser.error(f"{', '.join(missing)}: not installed: pip install 'aligngemini[serve]'")
    try:
        settings = _settings(given)
    except checks.UsageError as error:
        parser.error(str(error))

    from aligngemini.cli.serve_run import run

    return run(settings, host=given.host, port=given.port)


def _settings(given: Any) -> "ServiceSettings":
    """The service that the options describe.

    Raises:
        UsageError: They make no sense together, or a file they name cannot be used.
    """
    from aligngemini.runner import (
        LARGE_MEMORY,
        LARGE_TIMEOUT,
        MEMORY,
        TIMEOUT,
        any_large,
        default_workers,
    )
    from aligngemini.serve.keys import KeyFileError, KeyRing
    from aligngemini.serve.settings import ServiceSettings
    from aligngemini.serve.uploads import RequestLimits

    detector_options.check_reading(given)
    for option, folder in (("--keep", given.keep), ("--jobs", given.jobs)):
        if folder is not None:
            checks.folder(folder, option)
    try:
        keys = None if given.api_keys is None else KeyRing.read(given.api_keys)
    except KeyFileError as error:
        raise checks.UsageError("--api-keys", str(error)) from error
    options = detector_options.reading_options_of(given)
    large = any_large(options)
    workers = given.workers or default_workers(options)
    timeout = given.timeout or (LARGE_TIMEOUT if large else TIMEOUT)
    return ServiceSettings(
        detector=options,
        workers=workers,
        batch=given.batch,
        queue=given.queue,
        timeout=timeout,
        request_timeout=given.request_timeout or 2 * timeout,
        memory=LARGE_MEMORY if large else MEMORY,
        limits=RequestLimits(
            files=given.max_files,
            file_bytes=given.max_file_mb * MB,
            request_bytes=given.max_request_mb * MB,
        ),
        max_pixels=given.max_megapixels * MEGA,
        keys=keys,
        cors=tuple(given.cors or ()),
        allow_urls=given.allow_urls,
        keep=given.keep,
        scores=given.scores,
        jobs=given.jobs,
    )


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini serve",
        usage="aligngemini serve [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument_group("where to listen").add_argument
    add("--host", default="127.0.0.1", help="address (default: 127.0.0.1, this machine alone)")
    add("--port", type=_port, default=8000, help="port (default: 8000; 0 takes a free one)")
    group = parser.add_argument_group("how to judge")
    detector_options.add_models(group)
    detector_options.add_reading(group)
    group = parser.add_argument_group("how to run")
    detector_options.add_running(group)
    add = group.add_argument
    add(
        "--batch",
        type=positive_int,
        metavar="N",
        help="images a worker takes at a time (default: 8 with a GPU or a server, else 1)",
    )
    add(
        "--queue",
        type=positive_int,
        metavar="N",
        help="images that may wait; what comes then is refused (default: twice --workers times "
        "--batch)",
    )
    _add_limits(parser.add_argument_group("limits"))
    _add_access(parser.add_argument_group("access"))
    return parser


def _add_limits(group: Any) -> None:
    add = group.add_argument
    add(
        "--request-timeout",
        type=seconds,
        metavar="SECONDS",
        help="for a request, upload and wait included (default: twice --timeout)",
    )
    add(
        "--max-files",
        type=positive_int,
        default=32,
        metavar="N",
        help="images in a request (default: 32)",
    )
    add(
        "--max-file-mb",
        type=positive_int,
        default=64,
        metavar="MB",
        help="size of an image's file (default: 64)",
    )
    add(
        "--max-request-mb",
        type=positive_int,
        default=256,
        metavar="MB",
        help="size of a request (default: 256)",
    )
    add(
        "--max-megapixels",
        type=positive_int,
        default=110,
        metavar="N",
        help="of an image, told from its header before it is decoded (default: 110)",
    )


def _add_access(group: Any) -> None:
    add = group.add_argument
    add(
        "--api-keys",
        type=Path,
        metavar="FILE",
        help="ask for a key: lines of NAME KEY [IMAGES-A-MINUTE], where sha256:HEX may stand for "
        "the key",
    )
    add(
        "--cors",
        action="append",
        metavar="ORIGIN",
        help="let pages of this origin ask (https://example.com); may be given several times",
    )
    add(
        "--allow-urls",
        action="store_true",
        help='also take {"urls": [...]} and fetch the images, from public addresses only',
    )
    add(
        "--keep",
        type=Path,
        metavar="DIR",
        help="keep every image and its record there; without it nothing is kept",
    )
    add(
        "--scores",
        type=Path,
        metavar="FILE",
        help="keep how many images had which score on which day, to tell of drift; without it "
        "that is known until the service ends",
    )
    add(
        "--jobs",
        type=Path,
        metavar="DIR",
        help="also take jobs of thousands of images, which wait there until they are judged and "
        "outlive a restart",
    )


def _port(text: str) -> int:
    import argparse

    value = int(text)
    if not 0 <= value <= 65_535:
        raise argparse.ArgumentTypeError("must lie between 0 and 65535")
    return value
