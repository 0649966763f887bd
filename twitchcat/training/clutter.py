"""What streamers lay over a game, drawn roughly: webcam box, chat, alerts, borders, sponsor bars, subtitles.

A network that saw none of it takes the first webcam for another game. What is drawn stays in its place over
a sequence, as an overlay does; inside, a webcam moves and chat scrolls.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name all of torch's own code gives it


def draw_clutter(images: Tensor, rng: np.random.Generator, *, share: float) -> Tensor:
    """Draw clutter over a share of the sequences: (B, T, 3, H, W) float32, 0..1, to a new tensor of as many.

    Of six kinds each chosen sequence gets one to three, borders first, since they lie behind the rest.
    """
    drawn = images.clone()
    chosen = np.flatnonzero(rng.random(len(images)) < share)
    for i in chosen:
        count = int(rng.integers(1, 4))
        kinds = sorted(rng.choice(len(_KINDS), size=count, replace=False))
        for kind in kinds:
            _KINDS[kind](drawn[i], rng)
    return drawn


def _borders(frames: Tensor, rng: np.random.Generator) -> None:
    """Shrink the game into a frame of one or two colours."""
    height, width = frames.shape[-2:]
    scale = rng.uniform(0.72, 0.95)
    inner = (max(8, int(height * scale)), max(8, int(width * scale)))
    small = F.interpolate(frames, size=inner, mode="bilinear", antialias=False)
    top, left = (
        int(rng.integers(0, whole - part + 1)) for whole, part in zip((height, width), inner, strict=True)
    )
    ramp = torch.linspace(0, 1, width, device=frames.device)
    a, b = _colour(frames, rng), _colour(frames, rng)
    frames[:] = a + (b - a) * ramp
    frames[..., top : top + inner[0], left : left + inner[1]] = small


def _webcam(frames: Tensor, rng: np.random.Generator) -> None:
    """Put a person before a wall in a corner or at a side: blobs that sway."""
    length, _, height, width = frames.shape
    rows, columns = _size(rng, height, (0.2, 0.36)), _size(rng, width, (0.16, 0.3))
    top = int(rng.choice([0, height - rows, int(rng.integers(0, height - rows + 1))]))
    left = int(rng.choice([0, width - columns]))
    y = torch.linspace(-1, 1, rows, device=frames.device)[:, None]
    x = torch.linspace(-1, 1, columns, device=frames.device)[None, :]
    wall = _colour(frames, rng, high=0.6) * (1 + float(rng.uniform(-0.4, 0.4)) * x)
    picture = wall.expand(3, rows, columns).clone()
    skin = torch.tensor([0.85, 0.62, 0.5], device=frames.device).reshape(3, 1, 1) * float(
        rng.uniform(0.4, 1.1)
    )
    shirt, hair = _colour(frames, rng), _colour(frames, rng, high=0.4)
    width_of_head = float(rng.uniform(0.22, 0.4))
    for shape, colour in (
        ((x / 0.75) ** 2 + ((y - 1.1) / 0.7) ** 2, shirt),
        ((x / (width_of_head * 1.2)) ** 2 + ((y + 0.25) / 0.62) ** 2, hair),
        ((x / width_of_head) ** 2 + ((y + 0.1) / 0.5) ** 2, skin),
    ):
        picture = torch.where(shape < 1, colour, picture)
    picture = (picture + 0.05 * _noise(picture.shape, frames, rng)).clamp(0, 1)
    sway = rng.integers(-2, 3, length)
    for t in range(length):
        frames[t, :, top : top + rows, left : left + columns] = picture.roll(int(sway[t]), dims=2)
    if rng.random() < 0.5:
        _outline(frames[..., top : top + rows, left : left + columns], _colour(frames, rng))


def _chat(frames: Tensor, rng: np.random.Generator) -> None:
    """Lay a column of chat over one side: names in colour, words in grey, scrolling."""
    length, _, height, width = frames.shape
    rows, columns = _size(rng, height, (0.4, 1.0)), _size(rng, width, (0.14, 0.26))
    top = int(rng.integers(0, height - rows + 1))
    left = int(rng.choice([0, width - columns]))
    darkness = float(rng.uniform(0.0, 0.9))  # 0: words on the bare picture
    step = max(3, height // 28)
    lines = rows // step + length + 1
    page = torch.zeros(4, lines * step, columns, device=frames.device)  # colour, and how much it covers
    for line in range(lines):
        y = line * step
        thickness = max(1, step // 2)
        name = int(columns * rng.uniform(0.1, 0.35)) if rng.random() < 0.6 else 0
        end = int(columns * rng.uniform(0.4, 0.98))
        for begin, stop, colour in (
            (2, name, _colour(frames, rng, low=0.3)),
            (name + 2, end, torch.full((3, 1, 1), 0.85, device=frames.device)),
        ):
            for word in range(begin, stop, 6):  # words of five pixels and a gap
                page[:3, y : y + thickness, word : min(word + 5, stop)] = colour
                page[3, y : y + thickness, word : min(word + 5, stop)] = 0.9
    for t in range(length):
        seen = page[:, t * step : t * step + rows]
        area = frames[t, :, top : top + seen.shape[1], left : left + columns]
        area *= 1 - darkness
        area += seen[3] * (seen[:3] - area)


def _alert(frames: Tensor, rng: np.random.Generator) -> None:
    """Show a bright box with a line of text for some of the frames."""
    length, _, height, width = frames.shape
    rows, columns = _size(rng, height, (0.1, 0.22)), _size(rng, width, (0.22, 0.45))
    top = int(rng.uniform(0.02, 0.4) * height)
    left = int(rng.uniform(0.2, 0.8) * (width - columns))
    begin = int(rng.integers(0, length))
    end = int(rng.integers(begin + 1, length + 1))
    area = frames[begin:end, :, top : top + rows, left : left + columns]
    opacity = float(rng.uniform(0.5, 1.0))
    area += opacity * (_colour(frames, rng, low=0.3) - area)
    _text(area, rng, rows // 2, max(2, rows // 4))


def _sponsor_bar(frames: Tensor, rng: np.random.Generator) -> None:
    """Close the picture at the bottom or the top with a bar of logos."""
    _, _, height, width = frames.shape
    rows = _size(rng, height, (0.06, 0.14))
    top = 0 if rng.random() < 0.25 else height - rows
    area = frames[..., top : top + rows, :]
    area[:] = _colour(frames, rng)
    edge = max(1, rows // 5)
    x = int(rng.integers(4, 24))
    while x < width - 12:
        wide = int(rng.integers(10, 36))
        area[..., edge : rows - edge, x : min(x + wide, width)] = _colour(frames, rng)
        x += wide + int(rng.integers(6, 30))


def _subtitles(frames: Tensor, rng: np.random.Generator) -> None:
    """Write one or two lines near the bottom, sometimes on a dark plate."""
    _, _, height, width = frames.shape
    line = max(4, height // 22)
    lines = int(rng.integers(1, 3))
    top = int(height * rng.uniform(0.76, 0.86))
    margin = int(width * rng.uniform(0.15, 0.32))
    area = frames[..., top : top + lines * (line + 2) + 2, margin : width - margin]
    if rng.random() < 0.5:
        area *= float(rng.uniform(0.1, 0.5))
    for i in range(lines):
        _text(area, rng, 2 + i * (line + 2), line - 1)


_KINDS = (_borders, _chat, _webcam, _sponsor_bar, _subtitles, _alert)


def _text(area: Tensor, rng: np.random.Generator, y: int, thickness: int) -> None:
    """Strokes as of letters: upright bars, every third or so left out."""
    width = area.shape[-1]
    strokes = torch.from_numpy(np.repeat(rng.random((width + 1) // 2) < 0.65, 2)[:width]).to(area.device)
    strokes[: width // 12] = strokes[width - width // 12 :] = False
    row = area[..., y : y + thickness, :]
    row[:] = torch.where(strokes, torch.ones((), device=area.device), row)


def _outline(area: Tensor, colour: Tensor) -> None:
    area[..., :1, :] = area[..., -1:, :] = colour
    area[..., :1] = area[..., -1:] = colour


def _size(rng: np.random.Generator, whole: int, shares: tuple[float, float]) -> int:
    return max(4, int(whole * rng.uniform(*shares)))


def _colour(like: Tensor, rng: np.random.Generator, *, low: float = 0.0, high: float = 1.0) -> Tensor:
    """One colour: (3, 1, 1)."""
    values = rng.uniform(low, high, (3, 1, 1)).astype(np.float32)
    return torch.from_numpy(values).to(like.device)


def _noise(shape: torch.Size, like: Tensor, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.standard_normal(tuple(shape), dtype=np.float32)).to(like.device)
