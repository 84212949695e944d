"""SynthWildX: photos and fakes of three generators from X."""

from aligngemini.benchmarks.base import SHARED, Benchmark, Expected
from aligngemini.benchmarks.layout import Layout, axis

GENERATORS = axis("dalle3", "firefly", ("midjourney_v5", "midjourney"))

LAYOUT = Layout("synthwildx", (GENERATORS,), shared_real=True, bare=True, inner=())

BENCHMARK = Benchmark(
    name="synthwildx",
    title="SynthWildX",
    paper="Cozzolino et al., CVPR Workshops 2024, arXiv 2312.00195",
    licence="of the posts; a list of links only",
    how_to_get=(
        "data/synthwildx/list.csv of github.com/grip-unina/ClipBased-SyntheticImageDetection; "
        "some links are dead"
    ),
    layout="{real,dalle3,firefly,midjourney_v5}, or GENERATOR/{0_real,1_fake}",
    protocol="balanced accuracy, mean of the three generators",
    expected={SHARED: Expected(500, 0)} | {name: Expected(0, 500) for name in GENERATORS},
    find=LAYOUT.find,
    folders=("synthwildx",),
)
