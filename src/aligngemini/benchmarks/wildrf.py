"""WildRF: photos and fakes from three social platforms."""

from aligngemini.benchmarks.base import Benchmark, Expected
from aligngemini.benchmarks.layout import Layout, axis

PLATFORMS = axis("reddit", "twitter", "facebook")

LAYOUT = Layout("wildrf", (PLATFORMS,), skip=("train", "val"))

BENCHMARK = Benchmark(
    name="wildrf",
    title="WildRF",
    paper="Cavia et al. (LaDeDa), arXiv 2406.09398",
    licence="not stated where we looked",
    how_to_get=(
        "WildRF.zip, linked from github.com/barcavia/RealTime-DeepfakeDetection-in-the-RealWorld"
    ),
    layout="test/{reddit,twitter,facebook}/{0_real,1_fake}",
    protocol="balanced accuracy, mean of the three platforms; LaDeDa itself gives mean AP",
    expected={name: Expected() for name in PLATFORMS},
    find=LAYOUT.find,
    folders=("WildRF",),
)
