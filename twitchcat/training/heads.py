"""What turns the embeddings of successive frames into logits: one frame, their mean, an LSTM, a transformer.

Every head carries its memory as one (B, S) float32 tensor, zeros at the start of a stream, whose last value
is the number of frames seen so far. Feeding a stream whole or frame by frame gives the same logits.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name all of torch's own code gives it

HEADS = ("frame", "mean", "lstm", "transformer")


class Head(nn.Module):
    """Logits per frame from embeddings, with a memory of `state_size` values."""

    state_size: int

    def forward(self, embeddings: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Take (B, T, D) float32 in time order and the (B, S) state; return (B, T, C) and the new state."""
        raise NotImplementedError


class FrameHead(Head):
    """Each frame for itself."""

    def __init__(self, embedding: int, classes: int, *, dropout: float) -> None:
        """`dropout` is the share of embedding values dropped in training."""
        super().__init__()
        self.state_size = 1
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(embedding, classes)

    def forward(self, embeddings: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See Head.forward."""
        logits: Tensor = self.classifier(self.dropout(embeddings))
        return logits, state + embeddings.shape[1]


class MeanHead(Head):
    """The mean of the embeddings so far. It never forgets: a new stream needs a new state."""

    def __init__(self, embedding: int, classes: int, *, dropout: float) -> None:
        """`dropout` is the share of embedding values dropped in training."""
        super().__init__()
        self.state_size = embedding + 1
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(embedding, classes)

    def forward(self, embeddings: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See Head.forward."""
        sums = state[:, None, :-1] + torch.cumsum(embeddings, dim=1)
        counts = state[:, None, -1:] + torch.cumsum(torch.ones_like(embeddings[..., :1]), dim=1)
        logits: Tensor = self.classifier(self.dropout(sums / counts))
        return logits, torch.cat([sums[:, -1], counts[:, -1]], dim=-1)


class LstmHead(Head):
    """An LSTM over the embeddings, beside a direct path from each frame to its logits."""

    def __init__(self, embedding: int, classes: int, *, hidden: int, dropout: float) -> None:
        """`hidden` is the width of the LSTM; `dropout` as in FrameHead."""
        super().__init__()
        self.hidden = hidden
        self.state_size = 2 * hidden + 1
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        self.direct = nn.Linear(embedding, classes)
        self.classifier = nn.Linear(hidden, classes)

    def forward(self, embeddings: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See Head.forward."""
        inputs = self.dropout(embeddings)
        h, c = state[:, : self.hidden], state[:, self.hidden : 2 * self.hidden]
        outputs, (h_new, c_new) = self.lstm(inputs, (h[None].contiguous(), c[None].contiguous()))
        logits: Tensor = self.classifier(self.dropout(outputs)) + self.direct(inputs)
        seen = state[:, -1:] + embeddings.shape[1]
        return logits, torch.cat([h_new[0], c_new[0], seen], dim=-1)


class TransformerHead(Head):
    """Causal attention over the last `memory` frames and the present one, nearer frames weighted higher.

    The order of frames enters as a penalty on distance alone, one learned slope per attention head, so that
    any length works. Source: ALiBi, Press et al. 2022, arXiv:2108.12409, with the slopes learned.
    """

    def __init__(
        self, embedding: int, classes: int, *, hidden: int, dropout: float, memory: int = 30, heads: int = 4
    ) -> None:
        """`hidden` is the width of the attention, divisible by `heads`; `dropout` as in FrameHead."""
        super().__init__()
        self.embedding, self.memory, self.heads = embedding, memory, heads
        self.width = hidden
        self.state_size = memory * embedding + 1
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(embedding)
        self.query = nn.Linear(embedding, hidden)
        self.key_value = nn.Linear(embedding, 2 * hidden)
        self.slopes = nn.Parameter(torch.linspace(-4.0, 0.0, heads))  # softplus: 0.02 to 0.7 per frame
        self.mix = nn.Linear(hidden, embedding)
        self.feed = nn.Sequential(
            nn.LayerNorm(embedding), nn.Linear(embedding, hidden), nn.GELU(), nn.Linear(hidden, embedding)
        )
        self.classifier = nn.Linear(embedding, classes)

    def forward(self, embeddings: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See Head.forward."""
        batch, length = embeddings.shape[:2]
        past = state[:, :-1].reshape(batch, self.memory, self.embedding)
        whole = torch.cat([past, embeddings], dim=1)  # (B, memory + T, D)
        seen = state[:, -1:]

        now = self.norm(embeddings)
        key, value = self.key_value(self.norm(whole)).chunk(2, dim=-1)
        query = self._split(self.query(now))  # (B, heads, T, width / heads)
        key, value = self._split(key), self._split(value)

        positions = torch.arange(length, device=embeddings.device)[:, None] + self.memory
        places = torch.arange(length + self.memory, device=embeddings.device)[None, :]
        distance = (positions - places).to(embeddings.dtype)  # (T, memory + T)
        near = (distance >= 0) & (distance <= self.memory)
        filled = places + seen.to(torch.int64) >= self.memory  # (B, memory + T): no empty place of the memory
        allowed = near[None] & filled[:, None, :]
        penalty = -F.softplus(self.slopes)[:, None, None] * distance
        scores = query @ key.transpose(-1, -2) / (self.width // self.heads) ** 0.5 + penalty
        scores = scores.masked_fill(~allowed[:, None], -1e4)
        attended = (scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(batch, length, self.width)

        mixed = embeddings + self.dropout(self.mix(attended))
        mixed = mixed + self.dropout(self.feed(mixed))
        logits: Tensor = self.classifier(self.dropout(mixed))
        remembered = whole[:, -self.memory :].reshape(batch, self.memory * self.embedding)
        return logits, torch.cat([remembered, seen + length], dim=-1)

    def _split(self, values: Tensor) -> Tensor:
        """Divide (B, N, width) among the attention heads: (B, heads, N, width / heads)."""
        return values.reshape(values.shape[0], values.shape[1], self.heads, -1).transpose(1, 2)


def build_head(name: str, *, embedding: int, classes: int, hidden: int, dropout: float) -> Head:
    """Make a head by its name, one of HEADS."""
    match name:
        case "frame":
            return FrameHead(embedding, classes, dropout=dropout)
        case "mean":
            return MeanHead(embedding, classes, dropout=dropout)
        case "lstm":
            return LstmHead(embedding, classes, hidden=hidden, dropout=dropout)
        case "transformer":
            return TransformerHead(embedding, classes, hidden=hidden, dropout=dropout)
        case _:
            raise ValueError(f"no head is called {name!r}; there are {', '.join(HEADS)}")
