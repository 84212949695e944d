"""What the study of completeness says of itself."""

DESIGN = """
AlignGemini asks two questions, whether the content is possible and whether a decoder made the
pixels. A picture may pass both and still be no photograph: one that was edited in a place. Three
branches look at drawn scenes: a small pixel expert that learned whole reconstructions by one
decoder (`kl-1`), a small reader that learned three rules and stands for the vision-language model,
and a small GAMMA that learned decoded regions, splices and whole reconstructions, with both maps
and reverse attention.

They are joined by logical OR. Every combination gets the **same budget of false alarms**, 5 % of
the intact calibration scenes together, each branch the same rate of its own: another branch makes
the others' thresholds stricter, and must find more than it costs. What is reported is what they
**miss**: of whole fakes, of broken rules, of regions made by the known decoder and by one that
nobody saw (`dc-1`), of splices, and of copy-moves, which GAMMA was not taught. All pictures are
saved as JPEG 92 in the end.

The last two cells are the models that ship, on real AI images and photos (`--data`), the centre of
at most 384 pixels: `compact-v1` alone, and by OR with `gamma-compact-v1`, at the same false alarms
on these very photos. Both were trained by this project on images of the same folders, the
thresholds are set on the photos they are counted on, and gamma-compact-v1 was trained on edits and
on no whole AI image: the figures say how the two models differ, and nothing about images of other
people.

`--scale full` draws ten times as many scenes, and takes all real images. It cannot show how often
fakes in the world are edited photos, nor what a large model would miss; and regions are pasted
with hard edges, which a careful editor leaves out.
"""

MEANING = {
    "false alarms": "share of intact scenes, or of photos, that are called fake",
    "missed: whole": "share of whole reconstructions by the known decoder that are not called fake",
    "missed: rule": "the same of scenes that break a known rule",
    "missed: decoded region": "of scenes with a region that the known decoder made",
    "missed: region, unseen decoder": "of scenes with a region that another decoder made",
    "missed: splice": "of scenes with a region out of another scene",
    "missed: copy-move": "of scenes with a region copied from elsewhere in the scene",
    "missed: AI images": "of real AI images",
    "of these found by GAMMA": "of the AI images that compact-v1 misses, the share that "
    "gamma-compact-v1 alone marks at 5 % false alarms",
    "nothing to find": "null control: balanced accuracy of intact scenes against intact scenes",
    "no edit": "null control: AUC of GAMMA for edits that put back what was there",
    "judged": "real images that were judged; 0 without --data",
}
