"""What the alignment study says of itself, and of its numbers."""

from aligngemini.experiments.alignment_sets import (
    EITHER,
    EITHER_NEW,
    GIVEN,
    NEW_DECODERS,
    NEW_RULES,
    NOTHING,
    PIXEL,
    PIXEL_POST,
    SEMANTIC,
    SEMANTIC_POST,
)
from aligngemini.experiments.table import Table, judged

DESIGN = """
AlignGemini (arXiv 2512.06746) claims that a vision-language model (VLM) should be supervised on
meaning alone and a vision model on pixels alone: each generalises on what its pretraining fits, and
mixing the two kinds of supervision, or crossing them, costs. Here every combination is trained on
the two-axis world and tested on each axis alone.

- **Semantic supervision**: scenes and their broken twins, three of the five rules, both worn down
  by one random chain (shrink, noise, blur, JPEG, enlarge). **Pixel supervision**: photos and their
  reconstructions by one decoder, both saved as JPEG. **Mixed**: half of each. All arms of a model
  take the same number of steps and see the same number of images.
- **The VLM** is a Qwen2.5-VL of real classes with random weights and 64 channels. What a real one
  brings from its pretraining is given to it first: its vision tower learns where the parts of
  scenes are and how large, its language model learns to say on which side each is larger. It is
  never told whether a scene breaks its rule, but it has seen scenes of all rules, broken ones too.
  Supervision is DPO on the verdict with LoRA in the language model, the tower frozen, as in this
  project's recipe (the paper does not say). `VLM and its tower` trains the tower as well.
- **The vision model** is a network of this project's compact pixel expert with random weights:
  its bias is its architecture, which sees band-pass residuals beside the picture. It is no DINOv2;
  the scale `full` takes the released one.
- **Pairs** join two arms by OR, each score replaced by its rank among ordinary photos.
- At tiny scale decoders are linear autoencoders; `--data` adds a real one to the tests.

What it cannot show: that real VLMs have this bias. It was put there by the pretraining described
above, and the study tells what follows from it. The vision model gets no such lesson about scenes,
so its weakness on meaning is one of schooling and architecture together. Mixed supervision shows
half as many pairs of either kind as pure supervision does, as it must where the total is the same.
"""

MEANING = {
    SEMANTIC: "AUC, broken scenes against their obeying twins, rules trained on",
    SEMANTIC_POST: "the same images shrunk, saved as JPEG 60, enlarged",
    NEW_RULES: "AUC, rules never trained on",
    PIXEL: "AUC, reconstructions against their photos, the decoder trained on",
    PIXEL_POST: "the same images shrunk, saved as JPEG 60, enlarged",
    NEW_DECODERS: "AUC, decoders never trained on",
    GIVEN: "AUC, the decoder given by `--data`, never trained on",
    NOTHING: "AUC between two lots of ordinary photos",
    EITHER: "AUC where a fake is broken, or decoded, or both; rule and decoder trained on",
    EITHER_NEW: "the same with rules and decoders never trained on",
    "facts": "share of right answers of the VLM, before supervision, on which side has more",
}
UNTOLD = "so this run cannot tell who generalises there"


def conclude(table: Table) -> list[str]:
    """What the numbers say of the paper's claims."""

    def compare(claim: str, more: str, less: str, figure: str) -> str:
        return judged(claim, table.difference((more, figure), (less, figure)))

    lines = [
        compare(
            "a VLM supervised on meaning reads meaning better than a vision model so supervised",
            "VLM, semantic",
            "vision, semantic",
            SEMANTIC,
        ),
        compare(
            "a vision model supervised on pixels reads pixels better than a VLM so supervised",
            "vision, pixel",
            "VLM, pixel",
            PIXEL,
        ),
    ]
    lines += _unseen(table, NEW_RULES, "VLM, semantic", "vision, semantic", "unseen rules")
    lines += _unseen(table, NEW_DECODERS, "vision, pixel", "VLM, pixel", "unseen decoders")
    if table.has("vision, pixel", GIVEN):
        lines += _unseen(table, GIVEN, "vision, pixel", "VLM, pixel", "the decoder of `--data`")
    lines += [
        compare(
            "pure semantic supervision is better for a VLM than mixed, on meaning",
            "VLM, semantic",
            "VLM, mixed",
            SEMANTIC,
        ),
        compare(
            "pure pixel supervision is better for a vision model than mixed, on pixels",
            "vision, pixel",
            "vision, mixed",
            PIXEL,
        ),
        compare(
            "an aligned pair beats a crossed one",
            "aligned pair",
            "misaligned pair",
            EITHER,
        ),
        compare(
            "an aligned pair beats two models of mixed supervision",
            "aligned pair",
            "mixed pair",
            EITHER,
        ),
        compare(
            "an aligned pair beats two models of mixed supervision where everything is unseen",
            "aligned pair",
            "mixed pair",
            EITHER_NEW,
        ),
    ]
    tower = "VLM and its tower, pixel"
    if tower in table.cells:
        claim = "a vision model reads pixels better even where the VLM's tower is trained too"
        lines.append(compare(claim, "vision, pixel", tower, PIXEL))
    return lines


def _unseen(table: Table, figure: str, fitting: str, other: str, what: str) -> list[str]:
    """Who generalises, if anybody does: a difference between two guessers says nothing."""
    above = table.difference((fitting, figure), 0.5)
    if above.low <= 0:
        where = "below chance" if above.high < 0 else "not above chance"
        return [
            f"On {what} the fitting arm ({fitting}) is {where}: "
            f"{table.text(fitting, figure)}; {UNTOLD}."
        ]
    claim = f"the fitting arm ({fitting}) is the better one on {what}"
    return [judged(claim, table.difference((fitting, figure), (other, figure)))]
