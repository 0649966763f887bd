"""The network: a backbone per frame, a head over the sequence, normalisation inside."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from twitchcat.training.backbones import PRESETS, build_backbone
from twitchcat.training.heads import HEADS, Head, build_head

Fit = Literal["letterbox", "crop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """What a network is built from."""

    classes: int
    backbone: str = "small"  #: a preset, a name on the hub, or a local folder
    head: str = "lstm"  #: frame, mean, lstm or transformer
    input_height: int = 144  #: pixels
    input_width: int = 256  #: pixels
    fit: Fit = "letterbox"  #: how a picture of another shape gets there
    embedding: int = 192  #: D of backbones trained from scratch; others have their own
    hidden: int = 128  #: width of the LSTM or of the attention
    dropout: float = 0.3  #: share of embedding values dropped before the head in training

    def __post_init__(self) -> None:
        """Raise ValueError if nothing can be built from this."""
        if self.classes < 2:
            raise ValueError("a network tells at least two classes apart")
        if self.head not in HEADS:
            raise ValueError(f"no head is called {self.head!r}; there are {', '.join(HEADS)}")
        if min(self.input_height, self.input_width) < 32:
            raise ValueError("pictures have at least 32 by 32 pixels")

    @classmethod
    def preset(cls, backbone: str, *, classes: int, head: str = "lstm", **more: Any) -> "NetworkSpec":
        """Fill in the input size that belongs to a backbone; `more` are other fields."""
        known = PRESETS.get(backbone)
        sizes = (224, 224) if known is None else (known.input_height, known.input_width)
        size = {"input_height": sizes[0], "input_width": sizes[1]}
        return cls(classes=classes, backbone=backbone, head=head, **(size | more))

    def as_dict(self) -> dict[str, Any]:
        """All fields, as JSON can hold them."""
        return asdict(self)


class Network(nn.Module):
    """Logits per frame of uint8 sequences."""

    def __init__(self, spec: NetworkSpec, *, weights: bool = True) -> None:
        """Build the parts; without `weights` a pretrained backbone is left at random. Raises ModelError."""
        super().__init__()
        self.spec = spec
        self.backbone = build_backbone(
            spec.backbone,
            height=spec.input_height,
            width=spec.input_width,
            embedding=spec.embedding,
            weights=weights,
        )
        self.head: Head = build_head(
            spec.head,
            embedding=self.backbone.embedding,
            classes=spec.classes,
            hidden=spec.hidden,
            dropout=spec.dropout,
        )

    @property
    def embedding(self) -> int:
        """D, the length of an embedding."""
        return self.backbone.embedding

    def initial_state(self, batch: int) -> Tensor:
        """The state before the first frame: (B, S) float32 zeros, where the weights are."""
        device = next(self.head.parameters()).device
        return torch.zeros(batch, self.head.state_size, device=device)

    def forward(self, frames: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Recognize (B, T, H, W, 3) uint8 RGB frames in time order, after what `state` (B, S) remembers.

        Returns (B, T, C) float32 logits, (B, T, D) float32 embeddings and the new (B, S) state.
        """
        batch, length = frames.shape[:2]
        images = frames.flatten(0, 1).permute(0, 3, 1, 2).to(torch.float32) / 255.0
        embeddings = self.backbone(images).reshape(batch, length, self.embedding)
        logits, new_state = self.head(embeddings, state)
        return logits, embeddings, new_state


def build(spec: NetworkSpec, *, weights: bool = True) -> Network:
    """Build a network; see Network. Raises ModelError where a pretrained backbone cannot be had."""
    return Network(spec, weights=weights)
