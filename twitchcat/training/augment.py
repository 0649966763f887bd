"""Random changes to pictures in training: what differs between streams of one category but means nothing.

Everything is drawn once for a sequence and holds for all its frames. Pictures are never mirrored: text and
displays have a side.
"""

import kornia.augmentation as K  # noqa: N812 - the name kornia's own documentation gives it
import numpy as np
import torch
from torch import Tensor

from twitchcat.training.clutter import draw_clutter


class Augmentation:
    """Crops, colour, noise, blur, compression, then streamer clutter."""

    def __init__(self, height: int, width: int, *, strength: float, clutter: float) -> None:
        """`strength` scales all of it (0: nothing is changed); `clutter` is a share of sequences."""
        self.strength, self.clutter = strength, clutter
        s = strength
        ratio = width / height
        # Mild: a display stays nearly where it is, and where it is tells the game.
        crop = K.RandomResizedCrop(
            (height, width), scale=(1 - 0.3 * s, 1.0), ratio=(ratio * (1 - 0.08 * s), ratio * (1 + 0.08 * s))
        )
        self._changes = tuple(
            (min(1.0, share), K.VideoSequential(change, data_format="BTCHW", same_on_frame=True))
            for share, change in (
                (1.0, crop),
                (0.3 * s, K.RandomPlanckianJitter(p=1.0)),
                (0.7, K.RandomBrightness((1 - 0.25 * s, 1 + 0.25 * s), p=1.0)),
                (0.7, K.RandomContrast((1 - 0.25 * s, 1 + 0.25 * s), p=1.0)),
                (0.4, K.RandomSaturation((max(0.0, 1 - 0.5 * s), 1 + 0.4 * s), p=1.0)),
                (0.4, K.RandomGamma((1 - 0.25 * s, 1 + 0.35 * s), p=1.0)),
                (0.2 * s, K.RandomGaussianBlur((5, 5), (0.3, 1.2), p=1.0)),
                (0.15 * s, K.RandomGaussianNoise(0.0, 0.02, p=1.0)),
                (0.12 * s, K.RandomJPEG((25.0, 80.0), p=1.0)),
            )
        )

    @torch.no_grad()
    def __call__(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """Change (B, T, 3, H, W) float32 pictures, 0..1; return as many.

        Which sequences each change befalls, and the clutter, are drawn by `rng`; how strong a change is, by
        torch's own generator: seed both for the same result.
        """
        changed = images
        if self.strength > 0:
            changed = images.clone()
            for share, change in self._changes:
                chosen = torch.from_numpy(np.flatnonzero(rng.random(len(images)) < share)).to(images.device)
                if len(chosen):  # kornia would work on all of them and throw most away: JPEG takes 6 ms each
                    changed[chosen] = change(changed[chosen]).clamp(0.0, 1.0)
        if self.clutter > 0:
            changed = draw_clutter(changed, rng, share=self.clutter)
        return changed
