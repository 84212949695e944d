"""Ways to edit a photo that leave a mask of what they changed.

One function each, all seeded by the generator that is passed in. GAMMA (arXiv 2509.10250) names
inpainting, copy-move, splicing and perturbations; no source gives their settings, so the defaults
are this project's.
"""

from aligngemini.datasets.manipulations.base import Manipulated, ManipulationError
from aligngemini.datasets.manipulations.classical import inpaint_classical
from aligngemini.datasets.manipulations.copy_move import copy_move
from aligngemini.datasets.manipulations.inpaint import inpaint
from aligngemini.datasets.manipulations.masks import draw_mask
from aligngemini.datasets.manipulations.perturb import Perturbations, perturb
from aligngemini.datasets.manipulations.splice import splice
from aligngemini.datasets.manipulations.vae_region import vae_region

__all__ = [
    "Manipulated",
    "ManipulationError",
    "Perturbations",
    "copy_move",
    "draw_mask",
    "inpaint",
    "inpaint_classical",
    "perturb",
    "splice",
    "vae_region",
]
