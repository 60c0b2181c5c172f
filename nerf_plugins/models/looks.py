"""Which photo's code pictures and meshes have: the mean, that of a photo, or a blend; with the viewer's controls for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from nerfstudio.viewer.viewer_elements import ViewerDropdown, ViewerSlider
from torch import Tensor, nn

from nerf_plugins.data import looks
from nerf_plugins.fields.codes import ImageCodes

MEAN = f"{looks.MEAN} of all"
"""What the viewer calls the mean code."""


class Looks(nn.Module):
    """Chooses the code of pictures; a module, so that nerfstudio finds its viewer controls.

    Args:
        names: of the training photos.
        codes: of all fields; each has a row for each photo.
    """

    def __init__(self, names: Sequence[str], codes: Sequence[ImageCodes]) -> None:
        super().__init__()
        self.names = list(names)
        self.all_codes = tuple(codes)  # in a tuple, they stay modules of their fields alone
        options = [MEAN, *self.names]
        # nerfstudio shows controls in the alphabetical order of their attributes.
        self.first = ViewerDropdown("Look of photo", MEAN, options, hint="Whose light, exposure and style are shown")
        self.second = ViewerDropdown("Blended with", MEAN, options, hint="The other end of the blend below")
        self.share = ViewerSlider("Blend", 0.0, 0.0, 1.0, 0.01, hint="0: the first photo's look, 1: the second's")

    def weights(self, first: str, second: str, blend: float) -> Float[Tensor, "n_images"]:
        """Each photo's share in a blend of two looks, which are photos' names or :data:`MEAN`; they add up to 1."""
        return torch.lerp(self._weights_of(first), self._weights_of(second), blend)

    def _weights_of(self, look: str) -> Tensor:
        n = len(self.names)
        return torch.full((n,), 1.0 / n) if look == MEAN else torch.eye(n)[self.names.index(look)]

    @contextmanager
    def shown(self, weights: Float[Tensor, "*one n_images"] | None = None) -> Iterator[None]:
        """While it is entered, pictures and meshes have the codes' mean by these weights; None: as the viewer's controls say."""
        if weights is None:
            share = min(max(float(self.share.value), 0.0), 1.0)  # the field beside the slider takes any number
            weights = self.weights(self.first.value, self.second.value, share)
        with torch.no_grad():
            codes = [weights.reshape(-1).to(codes.weight) @ codes.weight for codes in self.all_codes]
        with showing(self.all_codes, codes):
            yield


@contextmanager
def showing(all_codes: Sequence[ImageCodes], shown: Sequence[Float[Tensor, "_"]]) -> Iterator[None]:
    """While it is entered, pictures have these codes."""
    before = [codes.shown for codes in all_codes]
    try:
        for codes, code in zip(all_codes, shown, strict=True):
            codes.shown = code
        yield
    finally:
        for codes, code in zip(all_codes, before):
            codes.shown = code
