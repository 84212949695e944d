"""Synthbuster: nine generators beside the photos of RAISE-1k."""

from aligngemini.benchmarks.base import SHARED, Benchmark, Expected
from aligngemini.benchmarks.layout import Layout, axis

GENERATORS = axis(
    *("dalle2", "dalle3", "firefly", "glide"),
    ("midjourney-v5", "midjourney"),
    ("stable-diffusion-1-3", "sd13"),
    ("stable-diffusion-1-4", "sd14"),
    ("stable-diffusion-2", "sd2"),
    ("stable-diffusion-xl", "sdxl"),
)

LAYOUT = Layout(
    "synthbuster",
    (GENERATORS,),
    real=("raise", "RAISE-1k", "real_RAISE_1k", "RAISE_1k_png"),
    shared_real=True,
    bare=True,
    inner=("images", "png", "test"),
)

BENCHMARK = Benchmark(
    name="synthbuster",
    title="Synthbuster",
    paper="Bammey, IEEE Open Journal of Signal Processing 2023",
    licence="non-commercial use",
    how_to_get="zenodo.org/records/10066460; photos: real_RAISE_1k.zip of grip.unina.it",
    layout="synthbuster/GENERATOR/*.png and real_RAISE_1k, or --real-root RAISE",
    protocol="balanced accuracy, mean of the nine; fakes and photos are PNG",
    expected={SHARED: Expected(1_000, 0)} | {name: Expected(0, 1_000) for name in GENERATORS},
    find=LAYOUT.find,
    folders=("synthbuster",),
    archives={
        "synthbuster.zip": "0695bd328e16ea21c5c9cc2ae1d994ff",
        "real_RAISE_1k.zip": "a6aad7728226218f22a28b9c9aacaa2c",
    },
)
