"""AIGIBench: 25 test sets from GANs to social networks."""

from aligngemini.benchmarks.base import Benchmark, Expected
from aligngemini.benchmarks.layout import Layout, axis

IN_THE_WILD = ("CommunityAI", "SocialRF")
"""The two sets that AlignGemini's in-the-wild table takes."""

SETS = axis(
    *("ProGAN", "R3GAN", "StyleGAN3", "StyleGAN-XL", "StyleSwim", "BlendFace", "E4S", "FaceSwap"),
    ("InSwap", "ImSwap"),
    *("SimSwap", "WFIR", "DALLE-3", "FLUX1-dev", "GLIDE", "Imagen3"),
    ("Midjourney", "Midjourney-V6"),
    ("SD3", "stable-diffusion-3"),
    ("SDXL", "stable-diffusion-xl"),
    *("BLIP", "Infinite-ID", "InstantID", "IP-Adapter", "PhotoMaker"),
    *IN_THE_WILD,
)

# Of fakes, as corrected in the repository's README; there are as many photos.
_PUBLISHED = {
    "CommunityAI": 6_000,
    "SocialRF": 3_000,
    "FaceSwap": 4_000,
    "InSwap": 4_000,
    "WFIR": 1_000,
}

LAYOUT = Layout("aigibench", (SETS,), skip=("train", "val"))

BENCHMARK = Benchmark(
    name="aigibench",
    title="AIGIBench",
    paper="Li et al., NeurIPS 2025 Datasets and Benchmarks, arXiv 2505.12335",
    licence="CC BY-NC-SA 4.0",
    how_to_get="huggingface.co/datasets/HorizonTEL/AIGIBench; unpack each archive",
    layout="test/SET/{0_real,1_fake}",
    protocol=(
        "real and fake accuracy, accuracy and AP, mean of the 25; AlignGemini's in-the-wild table "
        "takes CommunityAI and SocialRF only; the AlignGemini group saves the fakes as JPEG 96"
    ),
    expected={name: Expected(_PUBLISHED.get(name), _PUBLISHED.get(name)) for name in SETS},
    find=LAYOUT.find,
    jpeg96=True,
    folders=("AIGIBench",),
)
