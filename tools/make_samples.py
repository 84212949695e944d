"""Make the images of `samples/`: public-domain photos and their TAEF2 reconstructions.

    python tools/make_samples.py ../shared/weights samples

The photos come out of scikit-image's own package (`pip install scikit-image`; nothing else of this
project needs it), the weights of TAEF2 from the folder given. Both classes are written as JPEG of
one quality, so that format and compression say nothing about which is which.
"""

import argparse
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as PILImage

from aligngemini.images.decode import decode, read_bytes
from aligngemini.models.autoencoders import FACTOR, Taef2

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
LONGEST = 512
JPEG = {"quality": 95, "subsampling": "4:4:4"}

Pixels = npt.NDArray[np.uint8]


def main() -> None:
    """Read the arguments and write `photos/` and `reconstructions/`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("weights", type=Path, help="folder of taef2_encoder.pth, taef2_decoder.pth")
    parser.add_argument("out", type=Path, help="folder to write")
    arguments = parser.parse_args()
    model = Taef2.load(arguments.weights)
    for name in PHOTOS:
        path = Path(str(files("skimage.data").joinpath(name)))
        photo = centre(decode(read_bytes(path)).pixels)
        for folder, pixels in {"photos": photo, "reconstructions": rebuilt(model, photo)}.items():
            target = (arguments.out / folder / name).with_suffix(".jpg")
            target.parent.mkdir(parents=True, exist_ok=True)
            PILImage.fromarray(pixels).save(target, **JPEG)


def centre(pixels: Pixels) -> Pixels:
    """The middle, cut to what the autoencoder divides; not resized, so that pixels stay pixels."""
    height, width = (min(LONGEST, side) // FACTOR * FACTOR for side in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


def rebuilt(model: Taef2, pixels: Pixels) -> Pixels:
    """The same picture, every pixel of it made by the decoder."""
    images = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        result = model(images)[0].clamp(0, 1).permute(1, 2, 0)
    return (result * 255).round().byte().numpy()


if __name__ == "__main__":
    main()
