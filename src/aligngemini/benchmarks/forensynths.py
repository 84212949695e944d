"""ForenSynths: thirteen generators of 2020, most of them GANs."""

from aligngemini.benchmarks.base import Benchmark, Expected
from aligngemini.benchmarks.layout import Layout, axis

# Those of progan, stylegan, stylegan2 and cyclegan hold folders by class, whose images are merged.
GENERATORS = axis(
    *("progan", "stylegan", "stylegan2", "cyclegan", "biggan", "stargan", "gaugan"),
    *("deepfake", "crn", "imle", "san"),
    ("seeingdark", "sitd"),
    ("whichfaceisreal", "wfir"),
)

LAYOUT = Layout("forensynths", (GENERATORS,), skip_top=("train", "val", "progan_train"))

BENCHMARK = Benchmark(
    name="forensynths",
    title="ForenSynths",
    paper="Wang et al. (CNNDetection), CVPR 2020, arXiv 1912.11035",
    licence="of the data not stated where we looked",
    how_to_get="CNN_synth_testset.zip, linked from github.com/PeterWang512/CNNDetection",
    layout="test/GENERATOR[/CLASS]/{0_real,1_fake}",
    protocol=(
        "accuracy and AP, mean of the generators with their classes merged; DDA counts 11 of the "
        "13 and saves the fakes as JPEG 96"
    ),
    expected={name: Expected() for name in GENERATORS},
    find=LAYOUT.find,
    jpeg96=True,
    folders=("ForenSynths", "CNN_synth_testset"),
)
