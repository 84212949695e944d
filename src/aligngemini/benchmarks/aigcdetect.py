"""AIGCDetectBenchmark: GANs and diffusion models together."""

from aligngemini.benchmarks.base import Benchmark, Expected
from aligngemini.benchmarks.layout import Layout, axis

GENERATORS = axis(
    *("progan", "stylegan", "stylegan2", "biggan", "cyclegan", "stargan", "gaugan"),
    ("whichfaceisreal", "wfir"),
    *("ADM", "Glide", "Midjourney"),
    ("stable_diffusion_v_1_4", "sd14", "sdv14"),
    ("stable_diffusion_v_1_5", "sd15", "sdv15"),
    *("VQDM", "wukong", "DALLE2", "sd_xl"),
)

LAYOUT = Layout("aigcdetect", (GENERATORS,), skip_top=("train", "val"))

BENCHMARK = Benchmark(
    name="aigcdetect",
    title="AIGCDetectBenchmark",
    paper="Zhong et al. (PatchCraft), arXiv 2311.12397",
    licence="not stated where we looked",
    how_to_get="linked from github.com/Ekko-zn/AIGCDetectBenchmark",
    layout="test/GENERATOR[/CLASS]/{0_real,1_fake}",
    protocol=(
        "accuracy, mean of 16 generators, 17 with sd_xl; classes merged; the DDA group saves the "
        "fakes as JPEG 96"
    ),
    expected={name: Expected() for name in GENERATORS},
    find=LAYOUT.find,
    jpeg96=True,
    folders=("AIGCDetectBenchmark", "AIGCDetectionBenchMark", "AIGC_bm", "AIGCDetect"),
)
