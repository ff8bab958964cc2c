"""The field's ways of measuring, by name. The same weights score differently under each: never compare across them.

`padded`     PATN, ADGAN, SCA-GAN: 40 white columns on each side, so that 176x256 becomes a square (of a picture that is
             256x256 already, the outer 40 columns become white); SSIM with a Gaussian window, sigma 1.5, over the range
             of the generated picture; Frechet distance to the target test pictures
`train_fid`  GFLA and those after it: pictures as they are; SSIM with a uniform window of 51 px over the range 1, and
             `ssim_256` as in `padded`; Frechet distance to the training pictures
`pg2`        PG2, DPIG: pictures as they are; SSIM with a uniform window of 7 px; `ssim_masked` where both pictures are
             multiplied by the target's pose mask
`plain`      ours: the crop as it is; SSIM with a Gaussian window, sigma 1.5, over the range 1
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

Picture = NDArray[np.uint8]

WHITE = 255
# DeepFashion's pictures, of which the field uses the middle 176 columns.
_SQUARE = (256, 256)


@dataclass(frozen=True)
class Ssim:
    """Settings of a structural similarity (Wang et al. 2004): `sigma` 0 means a uniform window of `window_px`."""

    sigma: float = 0.0
    window_px: int = 11
    range_of: str = "all levels"  # all levels | the generated picture
    sample_covariance: bool = False

    def map(self, generated: Picture, target: Picture) -> NDArray[np.float64]:
        """(H, W) similarity around every pixel, mean over the channels; NaN where `__call__` gives NaN."""
        span = 255 if self.range_of == "all levels" else int(generated.max()) - int(generated.min())
        if min(target.shape[:2]) < self.window_px or not span:
            return np.full(target.shape[:2], np.nan)
        window = {"gaussian_weights": True, "sigma": self.sigma} if self.sigma else {"win_size": self.window_px}
        _, similarity = structural_similarity(
            target.astype(np.float64),
            generated.astype(np.float64),
            data_range=span,
            channel_axis=2,
            use_sample_covariance=self.sample_covariance,
            full=True,
            **window,
        )
        return np.asarray(similarity.mean(2))

    def __call__(self, generated: Picture, target: Picture) -> float:
        """-1..1 of two (H, W, 3) pictures: the mean over the pixels whose window lies inside.

        NaN where the pictures are smaller than the window, or all of the generated one has one level and its own range
        is asked for.
        """
        return self.mean_of(self.map(generated, target))

    def mean_of(self, similarity_HW: NDArray[np.float64]) -> float:
        """What `__call__` gives, of a map that is there already."""
        (height, width), edge = similarity_HW.shape, self.window_px // 2
        inside = similarity_HW[edge : height - edge, edge : width - edge]
        return float(inside.mean()) if inside.size else float("nan")


_OF_PATN = Ssim(sigma=1.5, range_of="the generated picture")


@dataclass(frozen=True)
class Protocol:
    """What is done to a picture before it is measured, the forms of SSIM, and whom sets are compared with."""

    name: str
    ssim: dict[str, Ssim]
    pad_px: int = 0  # white columns on each side
    reference: str = "targets"  # of Frechet and kernel distances: targets | training
    masked: bool = False  # also on pictures multiplied by the target's mask

    def prepared(self, picture: Picture) -> Picture:
        """The picture (H, W, 3) as it is measured."""
        if not self.pad_px:
            return picture
        if picture.shape[:2] == _SQUARE:
            picture = picture[:, self.pad_px : -self.pad_px]
        return np.pad(picture, ((0, 0), (self.pad_px, self.pad_px), (0, 0)), constant_values=WHITE)

    def told(self) -> dict[str, object]:
        """The settings as plain values, for result rows."""
        return asdict(self)


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("plain", {"ssim": Ssim(sigma=1.5)}),
        Protocol("padded", {"ssim": _OF_PATN}, pad_px=40),
        Protocol(
            "train_fid",
            {"ssim": Ssim(window_px=51, sample_covariance=True), "ssim_256": _OF_PATN},
            reference="training",
        ),
        Protocol("pg2", {"ssim": Ssim(window_px=7, sample_covariance=True)}, masked=True),
    )
}
