"""GenImage: eight generators beside ImageNet."""

from aligngemini.benchmarks.base import Benchmark, Expected
from aligngemini.benchmarks.layout import Layout, axis

# The second names are those of the archives, the others those of repacked copies.
GENERATORS = axis(
    ("Midjourney", "imagenet_midjourney"),
    ("stable_diffusion_v_1_4", "imagenet_ai_0419_sdv4", "sd14", "sdv14", "sdv4"),
    ("stable_diffusion_v_1_5", "imagenet_ai_0424_sdv5", "sd15", "sdv15", "sdv5"),
    ("ADM", "imagenet_ai_0508_adm"),
    ("glide", "imagenet_glide"),
    ("wukong", "imagenet_ai_0424_wukong"),
    ("VQDM", "imagenet_ai_0419_vqdm"),
    ("BigGAN", "imagenet_ai_0419_biggan", "biggan2"),
)

LAYOUT = Layout("genimage", (GENERATORS,), skip=("train",))

BENCHMARK = Benchmark(
    name="genimage",
    title="GenImage",
    paper="Zhu et al., NeurIPS 2023 Datasets and Benchmarks, arXiv 2306.08571",
    licence="CC BY-NC-SA 4.0",
    how_to_get="split archives linked from github.com/GenImage-Dataset/GenImage",
    layout="GENERATOR/[imagenet_ai_.../]val/{nature,ai} or test/GENERATOR/{0_real,1_fake}",
    protocol=(
        "accuracy, mean of the eight; photos are JPEG and fakes PNG, so newer work saves the "
        "fakes as JPEG 96"
    ),
    # 6 test images for each of 1,000 classes and generator, 8 for Stable Diffusion 1.5; the 50,000
    # photos of ImageNet's validation part are divided alike.
    expected={
        name: Expected(8_000, 8_000) if name == "stable_diffusion_v_1_5" else Expected(6_000, 6_000)
        for name in GENERATORS
    },
    find=LAYOUT.find,
    jpeg96=True,
    folders=("GenImage",),
)
