"""What the study of decoders says of itself."""

DESIGN = """
Photos are reconstructed by several autoencoders, so that a photo and its reconstruction show the
same and differ in the decoder's trace alone (Dual Data Alignment, arXiv 2505.14359). An expert is
trained on the pairs of one decoder, or of all, and tested on held-out photos and their
reconstructions by each decoder: the AUC of every step from a row to a column. Photos and fakes go
through the same random JPEG in training; tests are as they are and after JPEG 90. Which photos are
held out is drawn anew for every seed.

**At scale `tiny`**, photos are shrunk to half their size, which takes the traces of their own JPEG
away, and the expert is one view of this project's compact expert (band-pass residuals, 12,000
weights, a quarter of a minute). The decoders are TAEF2, the distilled FLUX.2 decoder, and small
ones trained on the spot for a minute, on photos that are used for nothing else: `kl-1` and `kl-2`
are one architecture with other weights (nearest-neighbour enlargement, group norms), `dc-1` is
another one (pixel shuffle). They stand for families of decoders; their traces are cruder than a
real generator's, which the PSNR shows. Real AI images are tested under the photos' treatment, by
generator, against the held-out photos. Subjects differ there: an expert that was trained on photos
alone says how far subjects by themselves move an AUC from 0.5, to either side.

**At scale `full`** the decoders are those of Stable Diffusion 2.1, XL and 3, FLUX.1 and FLUX.2,
and the expert is the paper's: DINOv2 ViT-L/14 with LoRA, by the recipe `aligngemini-sd21`.

It cannot show how experts of other sizes transfer, nor what mixing, blending and multi-scale
training (all of them the recipe's, none of them the small expert's) would add.
"""

MEANING = {
    "AI images": "mean over generators of the AUC of real AI images against held-out photos, both "
    "after JPEG 90",
    "labels by lot": "null control: AUC of the test images against labels drawn by lot",
    "no trace": "null control: AUC of an expert that was trained to tell photos from photos",
    "PSNR": "of the decoder's reconstructions, dB: the higher, the fainter its trace",
    "left out": "images that could not be used: unreadable, or too small",
}
