"""DRCT-2M: sixteen diffusion models beside COCO."""

from aligngemini.benchmarks.base import SHARED, Benchmark, Expected
from aligngemini.benchmarks.layout import Layout, axis

# The further names are those of repacked copies and of configuration files that others use.
MODELS = axis(
    ("ldm-text2im-large-256", "LDM", "ldm-t2i"),
    ("stable-diffusion-v1-4", "SDv1.4", "sd14"),
    ("stable-diffusion-v1-5", "SDv1.5", "sd15"),
    ("stable-diffusion-2-1", "SDv2", "sd21"),
    ("stable-diffusion-xl-base-1.0", "SDXL"),
    ("stable-diffusion-xl-refiner-1.0", "SDXL-Refiner"),
    *("sd-turbo", "sdxl-turbo"),
    ("lcm-lora-sdv1-5", "LCM-SDv1.5", "lcm-sd15"),
    ("lcm-lora-sdxl", "LCM-SDXL"),
    ("sd-controlnet-canny", "SDv1-Ctrl", "sd-cn"),
    ("sd21-controlnet-canny", "SDv2-Ctrl", "sd21-cn"),
    ("controlnet-canny-sdxl-1.0", "SDXL-Ctrl", "sdxl-cn"),
    ("stable-diffusion-inpainting", "SDv1-DR", "sd-inpainting"),
    ("stable-diffusion-2-inpainting", "SDv2-DR", "sd21-inpainting"),
    ("stable-diffusion-xl-1.0-inpainting-0.1", "SDXL-DR", "sdxl-inpainting"),
)

LAYOUT = Layout(
    "drct-2m",
    (MODELS,),
    real=("MSCOCO", "MSCOCO2017", "coco", "coco2017"),
    shared_real=True,
    bare=True,
    inner=("val2017", "val", "test"),
    skip=("train2017", "train", "annotations"),
)

BENCHMARK = Benchmark(
    name="drct-2m",
    title="DRCT-2M",
    paper="Chen et al., ICML 2024",
    licence="not stated where we looked; COCO's photos have licences of their own",
    how_to_get="modelscope.cn, BokingChen/DRCT-2M; photos: val2017 of cocodataset.org",
    layout="MODEL/val2017 and MSCOCO/val2017, or --real-root MSCOCO",
    protocol="balanced accuracy, mean of the sixteen; the photos are COCO's, which DDA trains on",
    expected={SHARED: Expected(5_000, 0)} | {name: Expected(0, 5_000) for name in MODELS},
    find=LAYOUT.find,
    folders=("DRCT-2M", "drct", "DRCT2M"),
)
