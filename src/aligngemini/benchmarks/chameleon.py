"""Chameleon: fakes that people took for photos."""

from aligngemini.benchmarks.base import Benchmark, Expected
from aligngemini.benchmarks.layout import Layout

LAYOUT = Layout("chameleon", skip=("train", "val"))

BENCHMARK = Benchmark(
    name="chameleon",
    title="Chameleon",
    paper="Yan et al. (AIDE), ICLR 2025",
    licence="academic use only",
    how_to_get="by mail to the authors, see github.com/shilinyan99/AIDE",
    layout="test/{0_real,1_fake}",
    protocol="accuracy; the classes are not balanced, so balanced accuracy differs from it",
    expected={"chameleon": Expected(14_863, 11_170)},
    find=LAYOUT.find,
    folders=("Chameleon",),
)
