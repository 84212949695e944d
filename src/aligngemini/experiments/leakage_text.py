"""What the study of leakage says of itself."""

DESIGN = """
The semantic set wears pictures down so that only what they show is left to learn (AlignGemini,
arXiv 2512.06746, section 3: shrink, noise, blur, JPEG, enlarge). How much it takes nobody has
published. Each step alone, and the whole chain, is turned from nothing (0) to this project's
default ranges (1); in between the ranges lie proportionally nearer to doing nothing. At each
strength three readers are asked.

- **pixels**: a linear model on trace statistics, the probe of `aligngemini build semantic-set`,
  cross-validated, tells pictures from their reconstructions by a decoder. Both of a pair go
  through the same chain, down to the noise, as in the semantic set. It is trained anew at each
  strength.
- **network**: the same for a small pixel expert (band-pass residuals, 12,000 weights), trained at
  that strength, for the whole chain; for single steps at the strongest only.
- **meaning**: a small network that sees the drawn scene as a whole tells scenes that obey a rule
  (support, containment, counts) from those that break it. It stands for the vision-language model.
  It has been trained on scenes of every step at every strength, so that what it loses is
  information and not habit.

**At scale `tiny`** the pictures of the pixel side are photos at half their size and their
reconstructions by TAEF2; without photos, drawn scenes. Scenes and photos have 112 pixels a side.
Real pictures have ten times as many, and what a vision-language model needs of them survives more
shrinking than a relation in a small drawing does; the trace of a decoder does not. So the curve of
the meaning is on the careful side, and the scale says nothing of pictures of other sizes.

**At scale `full`** the same runs on 2,000 photos at 336 pixels and the decoder of Stable Diffusion
2.1.

The recommended setting is computed: of the strengths of the whole chain at which both pixel
readers are at an AUC of 0.6 or less, the mildest; if the meaning keeps less than nine tenths of
what it has above chance without any chain, the study says so.
"""

MEANING = {
    "pixels": "AUC of the linear probe for a decoder's trace, at the strength behind the @",
    "network": "AUC of a small pixel expert trained at that strength",
    "meaning": "AUC of the reader of scenes: broken rule or not",
    "labels by lot": "null control: AUC of the linear probe when the labels are drawn by lot",
    "no trace": "null control: AUC of the linear probe for pictures against pictures that no "
    "decoder made",
    "no rule": "null control: AUC of the reader of scenes when no scene breaks a rule",
}
