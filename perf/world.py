"""How fast scenes of the two-axis world are drawn, and sets of them made.

python perf/world.py
"""

import time

import numpy as np

from aligngemini.experiments.world.decoders import open_decoder
from aligngemini.experiments.world.scene import RULES
from aligngemini.experiments.world.sets import photos, pixel_set, scenes, semantic_set

COUNT = 300
SIDES = (64, 84, 112)


def main() -> None:
    rng = np.random.default_rng(0)
    drawn = scenes(rng, COUNT, RULES)
    decoder = open_decoder("linear-8")
    kinds = {
        "photos": lambda side: photos(drawn, side),
        "worn pairs": lambda side: semantic_set(rng, drawn, side=side).pixels,
        "decoded pairs": lambda side: pixel_set(rng, drawn, decoder, side=side).pixels,
    }
    for side in SIDES:
        for name, make in kinds.items():
            started, clock = time.process_time(), time.monotonic()
            count = len(make(side))
            core, wall = time.process_time() - started, time.monotonic() - clock
            print(
                f"{side} px, {name}: {count / core:.0f} images a second of one core, "
                f"{count / wall:.0f} a second by the clock"
            )


if __name__ == "__main__":
    main()
