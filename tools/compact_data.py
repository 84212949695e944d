"""Make the compact expert's training manifest from the development data.

    python tools/compact_data.py ../shared data/compact

Photos and AI images stay where they are; TAEF2 reconstructions of the photos' centres (at most
288 px a side) are written as PNG, pairs in the manifest. Nothing of it is ever committed.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PILImage
from rich.progress import track

from aligngemini.datasets.manifest import Row, write_manifest
from aligngemini.images.decode import decode, read_bytes
from aligngemini.images.item import ImageError
from aligngemini.models.autoencoders import FACTOR, Taef2

CENTRE = 288
LABELS = {"real": "real", "ai": "fake"}


def main() -> None:
    """Read the arguments, write the reconstructions and `manifest.csv`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("shared", type=Path, help="folder that holds data/ and weights/")
    parser.add_argument("out", type=Path, help="folder to write")
    arguments = parser.parse_args()
    shared, out = arguments.shared.resolve(), arguments.out
    (out / "taef2").mkdir(parents=True, exist_ok=True)
    rows = list(development_rows(shared / "data"))
    model = Taef2.load(shared / "weights").bfloat16()
    model.decoder[-1].float()
    pairs = []
    for row in track([row for row in rows if row.label == "real"], "Reconstructing"):
        name = Path(row.path).relative_to(shared / "data/real")
        target = out / "taef2" / f"{'__'.join(name.parts)}.png"
        try:
            photo = decode(read_bytes(row.path), path=row.path).pixels
        except ImageError as error:
            print(f"no reconstruction of {row.path}: {error.message}")
            continue
        PILImage.fromarray(reconstruct(model, photo)).save(target)
        pairs.append(
            Row(str(target.resolve()), "fake", generator="taef2", source=row.source, pair=row.path)
        )
    write_manifest([*rows, *pairs], out / "manifest.csv")


def development_rows(data: Path):  # noqa: ANN201 - a script
    """Photos and AI images of the development data, as manifest rows."""
    with (data / "manifest.csv").open(newline="", encoding="utf-8") as file:
        for record in csv.DictReader(file):
            if record["label"] in LABELS:
                folder = record["path"].split("/")[1]
                yield Row(
                    path=str(data / record["path"]),
                    label=LABELS[record["label"]],
                    generator=folder if record["label"] == "ai" else "",
                    source=folder,
                )


def reconstruct(model: Taef2, photo: np.ndarray) -> np.ndarray:
    """The photo's centre, cropped to a multiple of the factor, through the autoencoder."""
    height, width = (min(CENTRE, side) // FACTOR * FACTOR for side in photo.shape[:2])
    top, left = (photo.shape[0] - height) // 2, (photo.shape[1] - width) // 2
    centre = photo[top : top + height, left : left + width].copy()
    with torch.inference_mode():
        images = torch.from_numpy(centre).permute(2, 0, 1)[None].float() / 255
        # bfloat16 is several times faster where the CPU has it; the last layer stays exact, for
        # its rounding would be a trace of its own.
        features = model.decoder[:-1](model.encoder(images.bfloat16())).float()
        result = model.decoder[-1](features)[0].clamp(0, 1).permute(1, 2, 0)
    return (result * 255).round().byte().numpy()


if __name__ == "__main__":
    main()
