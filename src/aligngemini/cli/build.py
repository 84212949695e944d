"""`aligngemini build pixel-set`: photos in, aligned pairs out."""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from aligngemini.cli.checks import SOME_NOT_JUDGED, WRONG_USE
from aligngemini.cli.parser import Parser, positive_int

DESCRIPTION = """Make the pixel expert's training set: photos and their reconstructions.

Each photo is sent through the autoencoder (VAE) of an image generator and back.
The result shows the same, at the same size, in pixels that a decoder made; a
detector that tells the two apart has nothing else to go by. Photos are cropped
around the centre to what the VAE takes, never resized; both are saved as PNG.
"""

EPILOG = """VAEs:
  sd21 (the default), sd15, sdxl, sd3, flux1, flux2, taesd
      From the Hugging Face Hub, once; then from its cache on this machine.
  DIR
      A diffusers VAE, a pipeline with one in vae/, or TAEF2's two files.
  OWNER/NAME
      Any repository of the Hub with a VAE in vae/ or at its root.

what is written:
  real/, NAME-OF-THE-VAE/    photos and reconstructions, by the same file names
  manifest.parquet           a row an image, as `aligngemini train` takes it
  failed.csv                 photos left out, and why
  settings.json, journal/    for going on

A run that was stopped goes on where it was when the same command is given again.
Several GPUs: start the same command with torchrun or accelerate launch.
Needs the train extra: pip install "aligngemini[train]"

Pairs for the semantic branch: aligngemini build semantic-set --help
Edited photos for GAMMA:       aligngemini build manipulation-set --help
A test set of your own:        aligngemini build benchmark --help

exit codes:
  0    every photo has its reconstructions (duplicates left out)
  1    some photos could not be used; failed.csv says why
  2    wrong usage or configuration, or nothing to build from
  130  stopped by Ctrl-C

examples:
  aligngemini build pixel-set coco/train2017 --out pairs
  aligngemini build pixel-set photos/ --out pairs --vae sd21 --vae flux1
  aligngemini build pixel-set photos/ --out try --limit 20 --vae ./my-vae
  torchrun --nproc_per_node 4 --module aligngemini build pixel-set a/ --out b
"""


OTHER_SETS = {
    "semantic-set": "build_semantic",
    "manipulation-set": "build_manipulation",
    "benchmark": "build_benchmark",
}
"""Modules of this package that build other sets."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    if arguments and arguments[0] in OTHER_SETS:
        module = import_module(f"aligngemini.cli.{OTHER_SETS[arguments[0]]}")
        code: int = module.main(arguments[1:])
        return code
    parser = _parser()
    if not arguments:
        parser.print_help()
        return WRONG_USE
    given = parser.parse_intermixed_args(arguments)
    try:
        return _build(given)
    except ModuleNotFoundError as error:
        return _fail(
            f"{error.name} is not installed; "
            'pip install "aligngemini[train]" brings what building needs'
        )


def _build(given: Any) -> int:
    from aligngemini.datasets.pixel_set_files import PixelSetError
    from aligngemini.models.vaes import VaeError

    try:
        return _build_pixel_set(given)
    except (PixelSetError, VaeError) as error:
        return _fail(str(error))


def _build_pixel_set(given: Any) -> int:
    from aligngemini.cli.progress import progress
    from aligngemini.cores import usable_cores
    from aligngemini.datasets.pixel_set import PixelSetConfig, build_pixel_set
    from aligngemini.images.sources import Skipped, expand
    from aligngemini.models.vaes import open_vae

    skipped = Skipped()
    for photos in given.photos:
        if Path(photos).is_dir() and given.out.resolve().is_relative_to(Path(photos).resolve()):
            return _fail(f"{given.out} lies among the photos of {photos}; give a folder elsewhere")
    items = list(islice(expand(given.photos, stdin=sys.stdin, skipped=skipped), given.limit))
    if not items:
        left_out = f"; {skipped.count} files there are no images" if skipped.count else ""
        return _fail(f"found no photo{left_out}")
    share, device, leave = _join(given.device)
    if device is None:
        return _fail("there is no CUDA device that this PyTorch can use; give --device cpu")
    vaes = [open_vae(name, device=device, dtype=given.dtype) for name in given.vae or ["sd21"]]
    config = PixelSetConfig(
        posterior=given.posterior,
        max_side=given.max_side,
        val_share=given.split_val,
        seed=given.seed,
    )
    total = len(range(share.index, len(items), share.count))
    with progress(total, text="Reconstructing", hidden=share.index > 0) as step:
        summary = build_pixel_set(
            items,
            vaes,
            given.out,
            config,
            batch_size=given.batch_size or (1 if device == "cpu" else 8),
            threads=given.workers or usable_cores(),
            share=share,
            step=step,
        )
    leave()
    if summary is None:
        return 0
    print(f"{given.out}: {summary.pairs} reconstructions of {summary.photos} photos")
    if summary.duplicates:
        print(f"{summary.duplicates} duplicates left out", file=sys.stderr)
    if summary.failed:
        table = given.out / "failed.csv"
        print(f"{summary.failed} photos could not be used: {table} says why", file=sys.stderr)
        return SOME_NOT_JUDGED
    return 0


def _join(device: str) -> tuple[Any, str | None, Callable[[], None]]:
    """This process's share and device, and what to call at the end.

    The device is None where a GPU is asked for and there is none.
    """
    import os
    from datetime import timedelta

    import torch

    from aligngemini.datasets.pixel_set import Share

    cuda = torch.cuda.is_available()
    if device == "cuda" and not cuda:
        return Share(), None, lambda: None
    on_cpu = device == "cpu" or not cuda
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Share(), "cpu" if on_cpu else "cuda", lambda: None
    from accelerate import PartialState

    # A process that is done early waits for the others, maybe for hours.
    state = PartialState(cpu=on_cpu, timeout=timedelta(days=7))
    share = Share(state.process_index, state.num_processes, state.wait_for_everyone)
    return share, "cpu" if on_cpu else str(state.device), state.destroy_process_group


def _fail(message: str) -> int:
    print(f"aligngemini build: {message}", file=sys.stderr)
    return WRONG_USE


def _share_of_one(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError
    return value


_share_of_one.__name__ = "share between 0 and 1"  # as argparse names it in its error


def _parser() -> Parser:
    parser = Parser(
        prog="aligngemini build",
        usage="aligngemini build pixel-set PHOTOS... --out DIR [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    add = parser.add_argument
    add("what", choices=("pixel-set",), metavar="pixel-set", help="the set to build")
    add(
        "photos",
        nargs="+",
        metavar="PHOTOS",
        help='files, folders, patterns, or "-" for a list on standard input',
    )
    add("--out", type=Path, required=True, metavar="DIR", help="folder to build in")
    add(
        "--vae",
        action="append",
        metavar="NAME",
        help="a VAE to reconstruct by; may be given several times (default: sd21)",
    )
    add(
        "--posterior",
        choices=("sample", "mean"),
        default="sample",
        help="latents drawn from the VAE's posterior, as published, or its mean (default: sample)",
    )
    add("--seed", type=int, default=0, metavar="N", help="of the posterior's noise (default: 0)")
    add(
        "--max-side",
        type=positive_int,
        metavar="PX",
        help="keep no more than this of a photo's centre; larger ones need more memory",
    )
    add(
        "--split-val",
        type=_share_of_one,
        default=0.05,
        metavar="SHARE",
        help="share of the photos kept for validation (default: 0.05)",
    )
    add("--limit", type=positive_int, metavar="N", help="only the first N photos")
    add = parser.add_argument_group("how to run").add_argument
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default: auto)")
    add(
        "--dtype",
        choices=("auto", "fp32", "fp16", "bf16"),
        default="auto",
        help="(default: auto: fp32 on the CPU; on a GPU fp16, bf16 for VAEs that overflow it)",
    )
    add(
        "--batch-size",
        type=positive_int,
        metavar="N",
        help="photos of one size at a time (default: 1 on the CPU, 8 on a GPU)",
    )
    add(
        "--workers",
        type=positive_int,
        metavar="N",
        help="threads that decode and save (default: one a CPU)",
    )
    return parser
