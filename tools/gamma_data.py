"""Make the compact GAMMA's manipulation set from the development data.

    python tools/gamma_data.py ../shared data/gamma

Photos of three sources are edited to train on, those of the others to measure on: no source is in
both, donors of splices included. Nothing of it is ever committed.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from aligngemini.cli.build import main as build
from aligngemini.datasets.manifest import Row, read_manifest, write_manifest

TRAINED_ON = ("imagenet-sample", "bsds500", "raccoon")
HELD_OUT = (
    "kangaroo",
    "camera-exif-samples",
    "ultralytics",
    "taming-pristine",
    "pscc-authentic",
    "aeroblade-real",
    "imaginairy-tests",
)
MOVED = ("--kind", "copy-move", "--kind", "splice", "--kind", "inpaint-classical")


def main() -> int:
    """Read the arguments, build the parts, join their manifests."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("shared", type=Path, help="folder that holds data/ and weights/")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--workers", default="1", help="threads (default: 1)")
    arguments = parser.parse_args()
    shared, out = arguments.shared.resolve(), arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    vae = ("--vae", str(shared / "weights"), "--kind", "vae-region")
    # Both precisions that decoders run in; bfloat16 is also twice as fast.
    halved, exact = ("imagenet-sample", "raccoon"), ("bsds500",)
    parts = [
        ("held", HELD_OUT, (*vae, *MOVED[:4], "--per-photo", "3", "--seed", "1", *_most(768))),
        ("moved", TRAINED_ON, (*MOVED, "--per-photo", "7", *_most(768))),
        ("generated-bf16", halved, (*vae, "--per-photo", "1", "--dtype", "bf16", *_most(512))),
        ("generated-fp32", exact, (*vae, "--per-photo", "1", "--dtype", "fp32", *_most(512))),
    ]
    rows: list[Row] = []
    for name, sources, options in parts:
        photos = [str(shared / "data/real" / source) for source in sources]
        given = ["--workers", arguments.workers, "--split-val", "0", *options]
        code = build(["manipulation-set", *photos, "--out", str(out / name), *given])
        if code not in (0, 1):
            return code
        split = "val" if name == "held" else "train"
        rows += [
            replace(row, split=split) for row in read_manifest(out / name / "manifest.parquet")
        ]
    write_manifest([_inside(row, out) for row in rows], out / "manifest.parquet")
    print(f"{out / 'manifest.parquet'}: {len(rows)} images")
    return 0


def _most(side: int) -> tuple[str, str]:
    return ("--max-side", str(side))


def _inside(row: Row, out: Path) -> Row:
    """With paths that hold wherever the folder is moved."""
    paths = {
        name: str(Path(value).relative_to(out))
        for name in ("path", "mask", "pair")
        if (value := getattr(row, name))
    }
    extra = dict(row.extra)
    if moved := extra.get("mask_moved"):
        part = Path(row.path).relative_to(out).parts[0]
        extra["mask_moved"] = f"{part}/{moved}"
    return replace(row, **paths, extra=extra)


if __name__ == "__main__":
    sys.exit(main())
