"""`aligngemini detect`: verdicts on images."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aligngemini.cli import checks, detector_options
from aligngemini.cli.parser import Parser, positive_int, seconds
from aligngemini.runtimes.published import DEFAULT_GAMMA

DESCRIPTION = """Say of each image whether it shows signs of AI generation.

Every input gives one result, in the order given; one that cannot be opened too.
"""

EPILOG = """what a verdict means (in records: fake, undecided, real):
  signs of AI generation
      The score reached the threshold, which is set so that few photos do, or a
      trusted signature in the file says so.
  undecided
      The score lies between the two thresholds, where photos and AI images are
      both common, or the image is out of scope: a drawing, a chart, a screenshot,
      a page of text. Read it as neither.
  no sign of AI generation found
      No more than that. Nobody can prove a photo real.

exit codes:
  0    every image was judged
  1    some inputs could not be judged; they are in the output, with the reason
  2    wrong usage or configuration, or there was no image to judge
  130  stopped by Ctrl-C (143: by SIGTERM); what was judged is in the output

examples:
  aligngemini detect photo.jpg
  aligngemini detect press/ "more/*.png" --report report.html
  aligngemini detect press/ --out verdicts.csv --heatmaps maps/
  find . -name "*.webp" | aligngemini detect - --format jsonl
  aligngemini detect photo.jpg --stability
  aligngemini detect press/ --format jsonl | jq -r 'select(.verdict=="fake").path'
  aligngemini detect photo.jpg --gamma my-gamma --heatmaps maps/
  aligngemini detect -- -name-with-a-dash.jpg
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return checks.WRONG_USE
    given, inputs = parser.parse_with_inputs(arguments, "inputs")
    if not inputs:
        parser.error("say what to judge: INPUT")
    try:
        out_format = checks.output_format(given.format, given.out)
        checks.outputs(inputs, out=given.out, report=given.report, heatmaps=given.heatmaps)
        detector_options.check_reading(given)
    except checks.UsageError as error:
        parser.error(str(error))

    from aligngemini.cli.results import Targets
    from aligngemini.cli.run import run

    options = replace(detector_options.reading_options_of(given), explain=given.explain)
    targets = Targets(
        format=out_format,
        out=given.out,
        report=given.report,
        heatmaps=given.heatmaps,
        experts=len(options.pixel),
        gamma=options.gamma != "off",
        stability=given.stability,
    )
    return run(inputs, options, targets, workers=given.workers, timeout=given.timeout)


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini detect",
        usage="aligngemini detect INPUT... [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="files, folders with all below them, quoted patterns, or - for one path a line on "
        "standard input",
    )
    outputs = parser.add_argument_group("what to write")
    add = outputs.add_argument
    add(
        "--format",
        choices=("table", "json", "jsonl", "csv"),
        help="table (the default) is for people, the others for programs; with --out its suffix "
        "decides",
    )
    add(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the results here instead of standard output; a file there is replaced",
    )
    add(
        "--report",
        type=Path,
        metavar="FILE.html",
        help="also write a page that shows every image, its verdict and why",
    )
    add(
        "--heatmaps",
        type=Path,
        metavar="DIR",
        help="also write each image as PNG with a map over it of where its score comes from, and "
        "with each of GAMMA's maps",
    )
    add = parser.add_argument_group("how to judge").add_argument
    add(
        "--pixel",
        action="append",
        metavar="MODEL",
        help="pixel expert: compact (the default, it ships), an installed model (see aligngemini "
        "models), a model folder, hf:OWNER/NAME for an image classifier of the Hub, or off; may "
        "be given several times, and each expert is shown alone",
    )
    add(
        "--semantic",
        default="off",
        metavar="MODEL",
        help="vision-language model that judges the content: a folder that aligngemini train "
        "semantic wrote, qwen2.5-vl-7b (-3b, -32b), a folder or repository of the Hub, or the URL "
        "of a server, http://HOST:PORT/v1#NAME, with DIR@ before it where it serves the adapter in "
        "DIR; off (the default) leaves content unjudged",
    )
    add(
        "--explain",
        action="store_true",
        help="let that model write its reasons too, which takes many times as long",
    )
    add(
        "--max-pixels",
        type=positive_int,
        metavar="N",
        help="shrink images to this many pixels before that model sees them",
    )
    add(
        "--four-bit",
        action="store_true",
        help="hold that model's weights in four bits (GPU only)",
    )
    add(
        "--gamma",
        metavar="MODEL",
        help="GAMMA model that also says where a picture was generated or changed: an installed "
        f"model, a model folder, or off (default: {DEFAULT_GAMMA})",
    )
    add(
        "--fusion",
        default="or",
        metavar="RULE",
        help="how branches become one verdict: or (the default), weighted, vote, or a file that "
        "aligngemini fuse fit wrote",
    )
    add(
        "--cascade",
        action="store_true",
        help="run the cheap branches first, and leave out those that can no longer change an "
        "image's verdict",
    )
    add(
        "--calibration",
        type=Path,
        metavar="FILE",
        help="thresholds of your own, which aligngemini calibrate sets so that few of your photos "
        "are called fake; default: the models' own",
    )
    add(
        "--trust",
        metavar="PEM",
        help="certificate authorities whose C2PA signatures are believed; without it nobody's are",
    )
    add(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where models run; auto takes a GPU where there is one",
    )
    add(
        "--stability",
        action="store_true",
        help="judge each image again after eight mild changes (re-saving, resizing, a little less "
        "at the edges, ...) and say how far its score moves and whether its verdict holds; the "
        "verdict stays, and all takes nine times as long",
    )
    add = parser.add_argument_group("how to run").add_argument
    add(
        "--workers",
        type=positive_int,
        metavar="N",
        help="processes that judge at the same time (default: one a CPU, or 1 with a large model)",
    )
    add(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="for one image, before it is given up (default: 60, or 600 with a large model; nine "
        "times that with --stability)",
    )
    return parser
