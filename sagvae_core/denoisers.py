"""What a scikit-image user would try on a damaged picture: median, Gaussian, total variation and non-local means.

Each has one strength, and :func:`tune` chooses it by the error to *clean* validation pictures, for each kind of damage
anew. SAG-VAE is not: it is trained once, on damaged pictures alone. So the comparison leans towards the filters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .config_data import in_range
from .errors import expected, reason

__all__ = ["DENOISERS", "Denoiser", "tune"]


@dataclass(frozen=True)
class Denoiser:
    """One classical filter.

    Attributes:
        name, title: the key in ``DENOISERS``, and the name a person reads.
        strength_name: what the one parameter is, with its unit.
        strengths: values to tune over, from the weakest filtering to the strongest.
    """

    name: str
    title: str
    strength_name: str
    strengths: tuple[float, ...]
    _filter: Callable[[np.ndarray, float], np.ndarray] = field(repr=False)

    def apply(self, x: Tensor, image_shape: tuple[int, int], strength: float) -> Tensor:
        """Filter every picture by itself.

        Args:
            x: (B, N, 1), floating point, values in [0, 1]; the nodes are the pixels, row by row.
            image_shape: (height, width) with height * width = N.
            strength: greater than 0, usually one of :attr:`strengths`.

        Returns:
            (B, N, 1) in [0, 1], of ``x``'s type and on its device.

        Raises:
            SagvaeError: shapes or values are others, ``strength`` is not in (0, 100), or scikit-image is missing.
        """
        _check("x", x, image_shape)
        in_range(f"strength ({self.strength_name})", strength, 0, 100, open_ends=True)
        pictures = x.detach().float().cpu().reshape(len(x), *image_shape).numpy()
        filtered = np.empty_like(pictures)
        try:
            for picture, result in zip(pictures, filtered, strict=True):
                result[:] = self._filter(picture, float(strength))
        except ImportError as error:
            raise expected("scikit-image", "installed for the classical filters", reason(error),
                           "Run `pip install scikit-image`.") from None
        # Rounding may leave [0, 1] by a little.
        return torch.from_numpy(filtered).clamp_(0, 1).reshape(x.shape).to(x)


def tune(denoiser: Denoiser, perturbed: Tensor, clean: Tensor, image_shape: tuple[int, int]) -> float:
    """The strength among ``denoiser.strengths`` with the smallest mean squared error to clean validation pictures.

    Args:
        perturbed: (B, N, 1) in [0, 1], with the damage the filter will meet.
        clean: (B, N, 1) in [0, 1], the same pictures before the damage.
        image_shape: (height, width) with height * width = N.

    Returns:
        The best strength, the weakest of equals.

    Raises:
        SagvaeError: as :meth:`Denoiser.apply`, the shapes of the two differ, or there is no picture.
    """
    _check("perturbed", perturbed, image_shape)
    _check("clean", clean, image_shape)
    if clean.shape != perturbed.shape:
        raise expected("clean", f"of the shape of perturbed, {tuple(perturbed.shape)}", tuple(clean.shape))
    if len(perturbed) == 0:
        raise expected("perturbed", "at least one picture", "none")

    def error(strength: float) -> float:
        return float((denoiser.apply(perturbed, image_shape, strength) - clean).double().square().mean())

    return min(denoiser.strengths, key=error)


# ---------------------------------------------------------------------- the filters; milliseconds a 28 x 28 picture

def _median(picture: np.ndarray, radius: float) -> np.ndarray:
    """A disk's median, 0.1 to 0.4 ms: radius 1 is a cross of 5 pixels, 1.5 the usual 3 x 3, 4 has 49 pixels."""
    from skimage.filters import median

    reach = np.arange(-int(radius), int(radius) + 1)
    # Not skimage.morphology.disk, which lies half a pixel off centre for a radius of 1.5.
    return median(picture, reach[:, None] ** 2 + reach[None, :] ** 2 <= radius ** 2)


def _gaussian(picture: np.ndarray, sigma: float) -> np.ndarray:
    """A weighted average of the surroundings, 0.05 ms."""
    from skimage.filters import gaussian

    return gaussian(picture, sigma=sigma)


def _total_variation(picture: np.ndarray, weight: float) -> np.ndarray:
    """Chambolle (2004), 0.2 to 1.5 ms: flat regions with sharp edges between."""
    from skimage.restoration import denoise_tv_chambolle

    return denoise_tv_chambolle(picture, weight=weight)


def _non_local_means(picture: np.ndarray, h: float) -> np.ndarray:
    """Buades et al. (2005), 1.3 ms: an average over places that look alike.

    Without ``fast_mode`` a picture takes 7.5 ms, and the best strength is no better on noisy MNIST or Fashion-MNIST.
    The library's own patches of 7 pixels and search over 11 take 5 ms and are worse: they are made for photographs.
    """
    from skimage.restoration import denoise_nl_means

    return denoise_nl_means(picture, patch_size=5, patch_distance=6, h=h, fast_mode=True)


# The weakest leave a picture nearly as it is (but for the median): where filtering does harm, tuning can say so.
DENOISERS: dict[str, Denoiser] = {denoiser.name: denoiser for denoiser in (
    Denoiser("median", "Median filter", "radius in pixels", (1.0, 1.5, 2.0, 2.5, 3.0, 4.0), _median),
    Denoiser("gaussian", "Gaussian filter", "standard deviation in pixels",
             (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0), _gaussian),
    Denoiser("total_variation", "Total variation", "weight of the total variation",
             (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6), _total_variation),
    Denoiser("non_local_means", "Non-local means", "h, the difference in grey level that still counts as alike",
             (0.02, 0.05, 0.08, 0.1, 0.12, 0.15, 0.18, 0.2, 0.25, 0.3, 0.4), _non_local_means),
)}


def _check(name: str, x: Tensor, image_shape: tuple[int, int]) -> None:
    if not isinstance(x, Tensor) or x.ndim != 3 or x.shape[2] != 1 or not x.is_floating_point():
        got = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise expected(name, "a floating point tensor of shape (B, N, 1)", got)
    if len(image_shape) != 2 or min(image_shape) < 1 or image_shape[0] * image_shape[1] != x.shape[1]:
        raise expected("image_shape", f"(height, width) with height * width = {x.shape[1]} nodes", tuple(image_shape))
    if not bool(((x >= 0) & (x <= 1)).all()):  # NaN is neither
        raise expected(name, "in [0, 1] everywhere", "a value outside, NaN or infinity",
                       "Scale the pictures to brightness from 0 to 1 first.")
