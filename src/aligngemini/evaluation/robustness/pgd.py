"""White-box attack on a pixel expert: how little it takes to turn a score.

Projected gradient descent in the L-infinity ball (Madry et al., arXiv 1706.06083), by somebody who
has the weights. Every picture that is tried has whole grey levels, so what is measured is what a
PNG file would get. What is found is a lower bound: another attack may find more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from aligngemini.images.views import center_crop
from aligngemini.runtimes.folder import ModelError, ModelFolder
from aligngemini.runtimes.preprocess import CenterCrop
from aligngemini.runtimes.torch import TorchRuntime

Pixels = npt.NDArray[np.uint8]

EPSILONS = (1, 2, 4, 8)
STEPS = 20


@dataclass(frozen=True)
class Attacked:
    """A picture after an attack.

    Attributes:
        epsilon: Grey levels that every value may have moved by.
        pixels: (H, W, 3) uint8, of the picture's own size.
        logit: The expert's, in PyTorch.
    """

    epsilon: int
    pixels: Pixels
    logit: float


class Attacker:
    """Attacks an expert that looks at one centred crop and whose PyTorch weights are at hand."""

    def __init__(self, folder: ModelFolder, *, device: str = "auto") -> None:
        """Load the weights.

        Args:
            folder: A checked model folder.
            device: `auto`, `cpu` or `cuda`.

        Raises:
            ModelError: It holds no weights for PyTorch, looks at more than one crop, or the device
                is not there.
        """
        if folder.safetensors is None or not isinstance(folder.preprocess, CenterCrop):
            raise ModelError(
                f"{folder.path}: the attack needs weights for PyTorch of an expert that looks at "
                "one centred crop"
            )
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._runtime = TorchRuntime(folder, device=device)
        self._runtime.graph.requires_grad_(False)
        self._size = folder.preprocess.crop_size

    def attack(
        self,
        pixels: Pixels,
        *,
        towards: str,
        epsilons: Sequence[int] = EPSILONS,
        steps: int = STEPS,
    ) -> list[Attacked]:
        """Move a picture's score, once for each size of the ball.

        A larger ball begins where the smaller one ended, so that it never does worse.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            towards: `fake` raises the score, `real` lowers it.
            epsilons: Grey levels, rising; 0 leaves the picture as it is.
            steps: Gradients for each of them.

        Raises:
            ValueError: A direction or a list of epsilons that is none.
        """
        if towards not in ("fake", "real"):
            raise ValueError(f"towards {towards!r}: expected fake or real")
        if list(epsilons) != sorted(epsilons) or any(epsilon < 0 for epsilon in epsilons):
            raise ValueError(
                f"epsilons {tuple(epsilons)}: expected whole numbers from 0 up, rising"
            )
        # Where each value of the crop comes from; 0 is the padding, which nobody can change.
        height, width = pixels.shape[:2]
        origin = np.arange(1, height * width + 1).reshape(height, width, 1)
        origin = center_crop(origin, self._size)[..., 0]
        clean = torch.from_numpy(center_crop(pixels, self._size).copy()).float()
        search = _Search(
            self._runtime.graph,
            clean.to(self._runtime.device),
            torch.from_numpy(origin > 0)[..., None].to(self._runtime.device),
            1.0 if towards == "fake" else -1.0,
        )
        found = []
        for epsilon in epsilons:
            search.run(epsilon, steps)
            attacked = pixels.reshape(-1, 3).copy()
            crop = search.best.to("cpu").numpy().astype(np.uint8)
            attacked[origin[origin > 0] - 1] = crop[origin > 0]
            found.append(Attacked(epsilon, attacked.reshape(pixels.shape), search.logit))
        return found


class _Search:
    """The best crop so far, in whole grey levels.

    Attributes:
        best: (S, S, 3) float, whole numbers.
        logit: The expert's of it.
    """

    def __init__(self, graph: nn.Module, clean: Tensor, inside: Tensor, sign: float) -> None:
        self._graph, self._clean, self._inside, self._sign = graph, clean, inside, sign
        self.best = clean
        self.logit = float(graph(clean[None])[0].item())

    def run(self, epsilon: int, steps: int) -> None:
        """Climb within the ball, and keep the best that was tried."""
        low = (self._clean - epsilon).clamp(min=0)
        high = (self._clean + epsilon).clamp(max=255)
        # Steps that cross the ball two and a half times, as is usual.
        stride = 2.5 * epsilon / max(1, steps)
        point = self.best.clone()
        for _ in range(steps if epsilon else 0):
            gradient = self._try(point)
            point = torch.minimum(torch.maximum(point + stride * gradient.sign(), low), high)
        self._try(point)

    def _try(self, point: Tensor) -> Tensor:
        """Judge the rounded point; gives the gradient there, as if rounding were not."""
        whole = point.round().requires_grad_()
        logit = self._graph(whole[None])[0][0]
        if self._sign * logit.item() > self._sign * self.logit:
            self.best, self.logit = whole.detach(), float(logit.item())
        (gradient,) = torch.autograd.grad(logit, whole)
        return self._sign * gradient * self._inside
