"""`aligngemini build manipulation-set`: photos in; edited copies with masks out."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aligngemini.cli.checks import WRONG_USE
from aligngemini.cli.parser import Parser, open_share, positive_int, seed, share

DESCRIPTION = """Make GAMMA's training set: photos, edited copies of them, and masks.

Each photo is kept as it is and edited in several ways. A mask says which pixels
were made by a generator, another which were moved, are foreign or were filled
without one. Outside its masks an edited copy is its photo, bit for bit.
"""

EPILOG = """kinds (--kind; without it all but full that the given models allow):
  vae-region         a region sent through an image generator's VAE (--vae)
  inpaint            a region painted by a diffusion model (--inpainter)
  inpaint-classical  a region filled by OpenCV
  copy-move          a region copied to another place of the photo
  splice             a region of another photo laid into this one
  full               all of the photo sent through a VAE (--vae)

models:
  --vae        as in `aligngemini build pixel-set`: sd21, sdxl, flux1, ..., a folder,
               or a Hub repository; several are drawn from
  --inpainter  a folder or a Hub repository with a diffusers pipeline, such as
               stable-diffusion-v1-5/stable-diffusion-inpainting

masks (--masks; without it regions are drawn at random):
  coco:FILE    instances of a COCO annotation file, by the photos' file names
  DIR          images named like their photos, light where the region is

what is written:
  images/, masks/    PNG
  manifest.parquet   a row an image, as `aligngemini train gamma` takes it
  contact-sheet.png  a few of each kind, to look at
  failed.csv         images left out, and edits that could not be made, and why
  settings.json, journal/
                     for going on

A run that was stopped goes on where it was when the same command is given again.
Needs the train extra: pip install "aligngemini[train]"

exit codes:
  0    every photo has all its edited copies (duplicates left out)
  1    some photos or edits are missing; failed.csv says why
  2    wrong usage or configuration, or nothing to build from
  130  stopped by Ctrl-C

examples:
  aligngemini build manipulation-set photos/ --out set --vae sd21
  aligngemini build manipulation-set photos/ --out set --kind copy-move --kind splice
  aligngemini build manipulation-set coco/train2017 --out set --vae sd21 \\
      --masks coco:instances_train2017.json --per-photo 2 --fakes genimage/ai
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help()
        return WRONG_USE
    given = parser.parse_intermixed_args(arguments)
    if given.area[0] >= given.area[1]:
        parser.error("--area: give the lower share first")
    for kind, model, option in (
        ("vae-region", given.vae, "--vae"),
        ("full", given.vae, "--vae"),
        ("inpaint", given.inpainter, "--inpainter"),
    ):
        if kind in (given.kind or ()) and not model:
            parser.error(f"--kind {kind}: say by which model: {option}")
    try:
        import pyarrow  # noqa: F401 - imported now, so that its absence is said

        from aligngemini.cli.build_manipulation_run import NothingFoundError, run
        from aligngemini.datasets.manipulation_set import ManipulationSetError
        from aligngemini.models.inpainting import InpainterError
        from aligngemini.models.vaes import VaeError
    except ModuleNotFoundError as error:
        return _fail(
            f"{error.name} is not installed; "
            'pip install "aligngemini[train]" brings what building needs'
        )
    try:
        return run(given)
    except (InpainterError, ManipulationSetError, NothingFoundError, VaeError) as error:
        return _fail(str(error))


def _fail(message: str) -> int:
    print(f"aligngemini build: {message}", file=sys.stderr)
    return WRONG_USE


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini build",
        usage="aligngemini build manipulation-set PHOTOS... --out DIR [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add(
        "photos",
        nargs="+",
        metavar="PHOTOS",
        help='files, folders, patterns, or "-" for a list on standard input',
    )
    add("--out", type=Path, required=True, metavar="DIR", help="folder to build in")
    add(
        "--kind",
        action="append",
        choices=("vae-region", "inpaint", "inpaint-classical", "copy-move", "splice", "full"),
        metavar="KIND",
        help="an edit to make, see below; may be given several times",
    )
    add(
        "--per-photo",
        type=positive_int,
        metavar="N",
        help="edited copies of each photo, the kinds by turns (default: one of each kind)",
    )
    add(
        "--fakes",
        action="append",
        default=[],
        metavar="DIR",
        help="AI images to add whole; the folder of each names its generator",
    )
    add("--limit", type=positive_int, metavar="N", help="only the first N photos")
    _add_how_to_edit(parser.add_argument_group("how to edit").add_argument)
    _add_models(parser.add_argument_group("models").add_argument)
    add = parser.add_argument_group("what the manifest says").add_argument
    add(
        "--moved-label",
        choices=("fake", "real"),
        default="fake",
        help="label of images whose pixels were moved but not generated (default: fake)",
    )
    add(
        "--split-val",
        type=share,
        default=0.05,
        metavar="SHARE",
        help="share of the photos kept for validation (default: 0.05)",
    )
    add = parser.add_argument_group("how to run").add_argument
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default: auto)")
    add(
        "--dtype",
        choices=("auto", "fp32", "fp16", "bf16"),
        default="auto",
        help="of the models (default: auto: fp32 on the CPU, half precision on a GPU)",
    )
    add(
        "--workers",
        type=positive_int,
        metavar="N",
        help="threads that decode, edit and save (default: one a CPU)",
    )
    return parser


def _add_how_to_edit(add: Any) -> None:
    add("--masks", metavar="WHAT", help="coco:FILE or DIR, see below (default: drawn regions)")
    add(
        "--area",
        type=open_share,
        nargs=2,
        default=(0.05, 0.5),
        metavar=("LOW", "HIGH"),
        help="share of the image that is edited (default: 0.05 0.5)",
    )
    add(
        "--blend",
        action="append",
        choices=("hard", "feather", "seamless"),
        help="a way to join edits to the photo, drawn each time; may be given several times "
        "(default: all)",
    )
    add(
        "--align-jpeg",
        type=share,
        default=0.5,
        metavar="P",
        help="probability that generated pixels get their photo's JPEG compression (default: 0.5)",
    )
    add(
        "--perturb",
        type=share,
        default=0.0,
        metavar="P",
        help="probability that an image, edited or not, is resized, recompressed, blurred, ... "
        "(default: 0; training does it too)",
    )
    add(
        "--max-side",
        type=positive_int,
        default=1024,
        metavar="PX",
        help="keep no more than this of an image's centre, never resizing (default: 1024)",
    )
    add("--seed", type=seed, default=0, metavar="N", help="of every draw (default: 0)")


def _add_models(add: Any) -> None:
    add("--vae", action="append", default=[], metavar="NAME", help="may be given several times")
    add("--inpainter", metavar="NAME", help="an inpainting pipeline of diffusers")
    add("--prompt", default="", metavar="TEXT", help="for the inpainter (default: none)")
    add(
        "--steps",
        type=positive_int,
        default=30,
        metavar="N",
        help="of denoising (default: 30)",
    )
    add(
        "--strength",
        type=share,
        default=0.9,
        metavar="SHARE",
        help="how much of a region is noise at first; less keeps more of what was there "
        "(default: 0.9)",
    )
