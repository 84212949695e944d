"""AIGI-Now: nine generators of 2025, each with formats aligned and with its traces destroyed."""

from aligngemini.benchmarks.base import Benchmark, Expected
from aligngemini.benchmarks.layout import Layout, axis

GENERATORS = axis(
    "FLUX-dev",
    ("FLUX-krea", "FLUX-kera"),  # as it is spelt on disk
    *("FLUX-kontext", "FLUX-pro", "GPT-4o", "Jimeng"),
    ("Kling", "keling"),
    "MiniMax",
    ("Nano-Banana", "Nano"),
)
TRACKS = axis("pixel", ("semantic", "sem"))

LAYOUT = Layout("aigi-now", (GENERATORS, TRACKS), shards=True)

BENCHMARK = Benchmark(
    name="aigi-now",
    title="AIGI-Now",
    paper="Chen et al. (AlignGemini), arXiv 2512.06746",
    licence="not stated where we looked; the photos are COCO's",
    how_to_get="huggingface.co/datasets/Gaffeyzz/AIGI-Now, webdataset shards",
    layout="*.tar with GENERATOR/{pixel,semantic}/{0_real,1_fake}/*.jpg, or the same unpacked",
    protocol=(
        "balanced accuracy of each subset; pixel has aligned formats, semantic is degraded until "
        "only content is left"
    ),
    expected={name: Expected() for name in LAYOUT.subsets},
    find=LAYOUT.find,
    folders=("AIGI-Now", "AIGI_Now"),
)
