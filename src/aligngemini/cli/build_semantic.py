"""`aligngemini build semantic-set`: photos and surreal images in, preference pairs out."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aligngemini.cli.checks import WRONG_USE
from aligngemini.cli.parser import Parser, positive_int, seed, share

DESCRIPTION = """Make the semantic branch's training set: possible and impossible scenes.

Photos (--real) and surreal AI images (--fake) are matched in shape and size. Then
both are shrunk, made noisy, blurred, saved as JPEG and enlarged, with the same
random draws for both of a pair: nothing is left to tell them apart but what
they show. Each image becomes a preference pair: the right verdict chosen, the
wrong one rejected.
"""

EPILOG = """inputs, of --real and --fake alike:
  files, folders with all below them, quoted patterns, .tar and .tar.gz archives
  (Echo-4o's Surrel-Fantasy-Image as it is downloaded), and manifests (.csv,
  .parquet), whose rows of that label count if their split is train or empty

rationales, which follow the verdict in each answer:
  prefix (the default)   none; the verdict is the whole answer
  model                  written in this process by --model
  URL                    written by an OpenAI-compatible server: http://host/v1

what is written:
  images/            real/ and fake/, PNG
  manifest.parquet   a row an image, with everything that was drawn for it
  preferences/       train.parquet, validation.parquet, as TRL takes them
  prompt.json        the wording of question and verdicts
  leakage.json       how well the pixels alone tell the classes apart
  failed.csv         images left out, and why
  settings.json, journal/, rationales-*.jsonl
                     for going on

A run that was stopped goes on where it was when the same command is given again.
Needs the train extra: pip install "aligngemini[train]"

exit codes:
  0    the set is built
  1    it is, but the pixels tell the classes apart (--probe-limit), some images
       could not be used (failed.csv says why), or there are fewer than --count
  2    wrong usage or configuration, or nothing to build from
  130  stopped by Ctrl-C

examples:
  aligngemini build semantic-set --real unsplash/ --fake Echo-4o-Image/ --out set
  aligngemini build semantic-set --real photos/ --fake surreal.tar.gz --out set \\
      --count 5000 --rationales model
  aligngemini build semantic-set --manifest images.csv --out set --count 50
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return WRONG_USE
    given = parser.parse_args(arguments)
    if not given.manifest and not (given.real and given.fake):
        parser.error("say what to build from: --real and --fake, or --manifest")
    if given.rationales not in ("prefix", "model") and "://" not in given.rationales:
        parser.error("--rationales: prefix, model, or the URL of a server (http://host:port/v1)")
    try:
        import datasets  # noqa: F401 - imported now, so that its absence is said
        import sklearn  # noqa: F401

        from aligngemini.cli.build_semantic_run import NothingFoundError, run
        from aligngemini.datasets.manifest import ManifestError
        from aligngemini.datasets.preferences import WriterError
        from aligngemini.datasets.semantic_set import SemanticSetError
        from aligngemini.runtimes.folder import ModelError
        from aligngemini.settings import SettingsError
    except ModuleNotFoundError as error:
        return _fail(
            f"{error.name} is not installed; "
            'pip install "aligngemini[train]" brings what building needs'
        )
    try:
        return run(given)
    except (
        *(ManifestError, ModelError, NothingFoundError),
        *(SemanticSetError, SettingsError, WriterError),
    ) as error:
        return _fail(str(error))


def _fail(message: str) -> int:
    print(f"aligngemini build: {message}", file=sys.stderr)
    return WRONG_USE


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini build",
        usage="aligngemini build semantic-set --real PATH --fake PATH --out DIR [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    paths: dict[str, Any] = {"nargs": "+", "action": "extend", "default": [], "metavar": "PATH"}
    add("--real", help="photos", **paths)
    add("--fake", help="AI images of impossible scenes", **paths)
    add("--manifest", type=Path, metavar="FILE", help="images of both classes")
    add("--out", type=Path, required=True, metavar="DIR", help="folder to build in")
    add(
        "--count",
        type=positive_int,
        metavar="N",
        help="images of each class (default: as many as the smaller class has)",
    )
    add("--seed", type=seed, default=0, metavar="N", help="of every draw (default: 0)")
    add(
        "--max-side",
        type=positive_int,
        default=512,
        metavar="PX",
        help="longest side in the set (default: 512)",
    )
    add(
        "--min-side",
        type=positive_int,
        default=128,
        metavar="PX",
        help="smaller images are left out (default: 128)",
    )
    add(
        "--split-val",
        type=share,
        default=0.05,
        metavar="SHARE",
        help="share of the pairs kept for validation (default: 0.05)",
    )
    add = parser.add_argument_group("how to degrade, drawn between two numbers").add_argument
    ranges: dict[str, tuple[type, tuple[float, float], str]] = {
        "--scale": (float, (0.25, 0.5), "size while shrunk, of 1"),
        "--noise": (float, (2.0, 10.0), "standard deviation, grey levels"),
        "--blur": (float, (0.4, 1.5), "standard deviation, pixels of the shrunk picture"),
        "--quality": (int, (30, 70), "of JPEG"),
    }
    for option, (kind, default, text) in ranges.items():
        low, high = default
        add(
            option,
            type=kind,
            nargs=2,
            default=default,
            metavar=("LOW", "HIGH"),
            help=f"{text} (default: {low:g} {high:g})",
        )
    add = parser.add_argument_group("what to write and to check").add_argument
    add(
        "--rationales",
        default="prefix",
        metavar="HOW",
        help="prefix, model, or the URL of a server (default: prefix)",
    )
    add(
        "--model",
        metavar="NAME",
        help="that writes them: short name, folder or repository of the Hub "
        "(default: qwen2.5-vl-7b); with a URL, one of the server's",
    )
    add(
        "--probe-limit",
        type=share,
        default=0.6,
        metavar="SHARE",
        help="most balanced accuracy of a model that sees pixels only (default: 0.6)",
    )
    add = parser.add_argument_group("how to run").add_argument
    add(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="for the model that writes rationales (default: auto)",
    )
    add(
        "--workers",
        type=positive_int,
        metavar="N",
        help="threads that decode, degrade and save (default: one a CPU)",
    )
    return parser
