"""CO-SPY-Bench: 22 models on the captions of five data sets, and fakes from the wild."""

from aligngemini.benchmarks.base import SHARED, Benchmark, Expected
from aligngemini.benchmarks.layout import Layout, axis

MODELS = axis(
    *(
        (name, name.partition("@")[2])
        for name in (
            "CompVis@ldm-text2im-large-256",
            "CompVis@stable-diffusion-v1-4",
            "runwayml@stable-diffusion-v1-5",
            "segmind@SSD-1B",
            "segmind@tiny-sd",
            "segmind@SegMoE-SD-4x2-v0",
            "segmind@small-sd",
            "stabilityai@stable-diffusion-2-1",
            "stabilityai@stable-diffusion-3-medium-diffusers",
            "stabilityai@sdxl-turbo",
            "stabilityai@stable-diffusion-2",
            "stabilityai@stable-diffusion-xl-base-1.0",
            "playgroundai@playground-v2.5-1024px-aesthetic",
            "playgroundai@playground-v2-1024px-aesthetic",
            "playgroundai@playground-v2-512px-base",
            "playgroundai@playground-v2-256px-base",
            "PixArt-alpha@PixArt-XL-2-1024-MS",
            "PixArt-alpha@PixArt-XL-2-512x512",
            "latent-consistency@lcm-lora-sdxl",
            "latent-consistency@lcm-lora-sdv1-5",
            "black-forest-labs@FLUX.1-schnell",
            "black-forest-labs@FLUX.1-dev",
        )
    )
)

SOURCES = axis(
    "civitai",
    ("dalle3", "dalle-3"),
    ("instavibeai", "instavibe", "flux"),
    "lexica",
    ("midjourney", "midjourney-v6"),
)

LAYOUT = Layout(
    "co-spy", (MODELS,), real=("real_images", "real_image_examples"), shared_real=True, bare=True
)
WILD_LAYOUT = Layout("co-spy-in-the-wild", (SOURCES,), shared_real=True, bare=True)

_PAPER = "Cheng et al. (CO-SPY), CVPR 2025, arXiv 2503.18286"

BENCHMARK = Benchmark(
    name="co-spy",
    title="CO-SPY-Bench",
    paper=_PAPER,
    licence="code MIT; of the images not stated where we looked; the photos keep their own",
    how_to_get=(
        "huggingface.co/datasets/ruojiruoli/Co-Spy-Bench; photos: COCO val2017, Flickr30k, CC3M, "
        "TextCaps, SBU"
    ),
    layout="synthetic/{mscoco,flickr,cc3m,textcaps,sbu}/ORG@MODEL, photos by --real-root",
    protocol=(
        "accuracy of 2,000 against 2,000 for each model and caption set, everything as JPEG 95; "
        "here one subset a model with its five caption sets together"
    ),
    expected={SHARED: Expected(None, 0)} | {name: Expected(0, None) for name in MODELS},
    find=LAYOUT.find,
    folders=("Co-Spy-Bench", "CO-SPY-Bench"),
)

IN_THE_WILD = Benchmark(
    name="co-spy-in-the-wild",
    title="CO-SPY in the wild",
    paper=_PAPER,
    licence="of the five sites; lists of links only",
    how_to_get=(
        "Civitai, DALL-E 3 and Midjourney v6 as data/in_the_wild of github.com/Megum1/CO-SPY says; "
        "instavibe.ai and Lexica by the lists of links there, some of them dead"
    ),
    layout="{civitai,dalle3,instavibeai,lexica,midjourney}[/{0_real,1_fake}]",
    protocol=(
        "about 50,000 fakes and the detection rate; later work gives balanced accuracy against "
        "photos that nobody names"
    ),
    expected={name: Expected(0, None) for name in SOURCES},
    find=WILD_LAYOUT.find,
    fake_only=True,
    folders=("CO-SPY-In-the-Wild", "in_the_wild", "CO-SPY"),
)
