"""A demo for Hugging Face Spaces: one image, its verdict in words, and what it rests on.

Runs anywhere: `pip install -r requirements.txt`, `python app.py`.
"""

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # nothing is told to anyone

import gradio as gr
from PIL import Image

from aligngemini import Detector, Verdict
from aligngemini.report import words
from aligngemini.report.drawing import heatmap_of
from aligngemini.report.overlay import heatmap_png, preview_jpeg

DETECTOR = Detector.load(
    pixel=os.environ.get("ALIGNGEMINI_PIXEL", "compact"),
    semantic=os.environ.get("ALIGNGEMINI_SEMANTIC", "off"),
)
CAUTION = (
    "A score is a measurement, not proof. No tool can prove that a photo is real, and a sign of "
    "AI generation is a reason to look closer, not a finding of fact."
)


def judge(path: str | None) -> tuple[str, Image.Image | None, dict[str, object]]:
    """The verdict in words, the image under its heatmap, and the record."""
    if path is None:
        raise gr.Error("Choose an image first.")
    opened = DETECTOR.open(path)
    verdict = opened if isinstance(opened, Verdict) else DETECTOR.judge(opened, heatmaps=True)
    picture = None if isinstance(opened, Verdict) else _under_heatmap(preview_jpeg(opened), verdict)
    record = {**verdict.to_dict(), "path": Path(path).name}
    return "\n".join(_lines(verdict)), picture, record


def _lines(verdict: Verdict) -> Iterator[str]:
    said = words.verdict_words(verdict)
    yield f"## {said[0].upper()}{said[1:]}"
    for name, evidence in verdict.branches.items():
        yield f"- **{words.branch_titles(verdict)[name]}**: {words.why_words(evidence)}"
        if evidence.false_alarm_rate is not None:
            share = words.share(evidence.false_alarm_rate)
            yield f"  ({share} of held-out photos reach its upper threshold)"


def _under_heatmap(preview: bytes, verdict: Verdict) -> Image.Image:
    picture = Image.open(BytesIO(preview)).convert("RGBA")
    heatmap = heatmap_of(verdict)
    if heatmap is None:
        return picture.convert("RGB")
    colours = Image.open(BytesIO(heatmap_png(heatmap))).convert("RGBA").resize(picture.size)
    return Image.alpha_composite(picture.convert("L").convert("RGBA"), colours).convert("RGB")


with gr.Blocks(title="aligngemini", analytics_enabled=False) as demo:
    gr.Markdown(f"# Does this image show signs of AI generation?\n{CAUTION}")
    with gr.Row():
        # Not gr.Image: it may write the picture anew, and its pixels are what is judged.
        given = gr.File(label="Image", file_types=["image"], type="filepath")
        shown = gr.Image(label="What moved the score", interactive=False)
    said = gr.Markdown()
    with gr.Accordion("Record", open=False):
        record = gr.JSON()
    given.change(judge, given, [said, shown, record])

if __name__ == "__main__":
    demo.launch()
