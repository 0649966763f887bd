"""What turns one picture into an embedding: nets trained from scratch, and pretrained ones of the hub."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from twitchcat.errors import ModelError

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A backbone by a short name."""

    source: str | None  #: on the hub; None: trained from scratch
    input_height: int
    input_width: int


#: Convolutional nets see 16:9 pictures whole; vision transformers get the square they were trained on.
PRESETS = {
    "small": Preset(source=None, input_height=144, input_width=256),
    "forerunner": Preset(source=None, input_height=240, input_width=240),
    "resnet18": Preset(source="microsoft/resnet-18", input_height=180, input_width=320),
    "resnet50": Preset(source="microsoft/resnet-50", input_height=180, input_width=320),
    "resnet101": Preset(source="microsoft/resnet-101", input_height=180, input_width=320),
    "mobilenet_v2": Preset(source="google/mobilenet_v2_1.0_224", input_height=180, input_width=320),
    "clip-vit-b32": Preset(source="openai/clip-vit-base-patch32", input_height=224, input_width=224),
    "dinov2-small": Preset(source="facebook/dinov2-small", input_height=224, input_width=224),
}


class Backbone(nn.Module):
    """Embeddings from pictures; normalisation is its own."""

    embedding: int  #: D, the length of an embedding

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        """`mean` and `std` are of the channels, in units of full brightness."""
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Take (N, 3, H, W) float32 RGB, 0..1; return (N, D) float32."""
        return self.features((images - self.mean) / self.std)  # type: ignore[operator]  # buffers are tensors

    def features(self, images: Tensor) -> Tensor:
        """Take (N, 3, H, W) normalised pictures; return (N, D)."""
        raise NotImplementedError


class _Residual(nn.Module):
    """Two convolutions around which the input passes. Source: ResNet, He et al. 2016, arXiv:1512.03385."""

    def __init__(self, channels_in: int, channels: int, *, stride: int) -> None:
        super().__init__()
        last = nn.BatchNorm2d(channels)
        nn.init.zeros_(last.weight)  # each block starts as the identity: training is steadier
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            last,
        )
        self.around: nn.Module = nn.Identity()
        if stride > 1 or channels_in != channels:
            pool = nn.AvgPool2d(stride, stride, ceil_mode=True) if stride > 1 else nn.Identity()
            conv = nn.Conv2d(channels_in, channels, 1, bias=False)
            self.around = nn.Sequential(pool, conv, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.around(x) + self.body(x))


class SmallNet(Backbone):
    """A residual net to be trained from scratch, quick on one core.

    The place of things is kept: the last feature map enters the embedding as a grid of 3 by 4 means beside
    its overall mean, since a game's display stays where it is.
    """

    GRID = (3, 4)

    def __init__(
        self,
        height: int,
        width: int,
        *,
        embedding: int,
        widths: tuple[int, ...] = (24, 40, 80, 160),
        blocks: tuple[int, ...] = (1, 2, 2),
        grid_channels: int = 48,
        dropout: float = 0.1,
    ) -> None:
        """`widths` are the channels of the stem and of each stage, `blocks` the residual blocks of each."""
        super().__init__(_IMAGENET_MEAN, _IMAGENET_STD)
        self.embedding = embedding
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, 2, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)
        )
        stages: list[nn.Module] = []
        for before, after, count in zip(widths, widths[1:], blocks, strict=False):
            stages.append(_Residual(before, after, stride=2))
            stages.extend(_Residual(after, after, stride=1) for _ in range(count - 1))
        self.stages = nn.Sequential(*stages)
        rows, columns = (-(-side // 2 ** len(widths)) for side in (height, width))
        self.cell = (max(1, rows // self.GRID[0]), max(1, columns // self.GRID[1]))
        grid = min(rows, self.GRID[0]) * min(columns, self.GRID[1])
        self.squeeze = nn.Sequential(
            nn.Conv2d(widths[-1], grid_channels, 1, bias=False),
            nn.BatchNorm2d(grid_channels),
            nn.ReLU(inplace=True),
        )
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(widths[-1] + grid_channels * grid, embedding)
        self.norm = nn.LayerNorm(embedding)

    def features(self, images: Tensor) -> Tensor:
        """See Backbone.features."""
        x = self.stages(self.stem(images))
        grid = nn.functional.avg_pool2d(self.squeeze(x), self.cell)[..., : self.GRID[0], : self.GRID[1]]
        whole = torch.cat([x.mean(dim=(2, 3)), grid.flatten(1)], dim=1)
        embedded: Tensor = self.norm(self.project(self.dropout(whole)))
        return embedded


class ForerunnerNet(Backbone):
    """The net of an earlier classifier of streams, for comparison: four convolutions and a dense layer.

    Convolutions of 128, 64, 32 and 16 channels, 3 by 3 without padding, each halved by its maxima; a
    dense layer of 256; dropout of one half; input 240 by 240, only rescaled to 0..1.
    """

    def __init__(self, height: int, width: int) -> None:
        """Take pictures of `height` by `width`."""
        super().__init__((0.0,) * 3, (1.0,) * 3)
        self.embedding = 256
        layers: list[nn.Module] = []
        channels = 3
        for after in (128, 64, 32, 16):
            layers += [nn.Conv2d(channels, after, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
            channels = after
            height, width = (height - 2) // 2, (width - 2) // 2
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Flatten(), nn.Linear(channels * height * width, 256), nn.ReLU(inplace=True), nn.Dropout(0.5)
        )

    def features(self, images: Tensor) -> Tensor:
        """See Backbone.features."""
        embedded: Tensor = self.dense(self.convolutions(images))
        return embedded


class PretrainedNet(Backbone):
    """A vision model of the hub, or the image tower of one that also reads text."""

    def __init__(self, source: str, *, weights: bool) -> None:
        """Load `source`, a name on the hub or a local folder; without `weights`, only its architecture.

        Raises ModelError where it cannot be had.
        """
        import transformers  # noqa: PLC0415 - takes seconds, and nets from scratch need none of it

        try:
            config = transformers.AutoConfig.from_pretrained(source)
            kind = _tower(config.model_type)
            if weights:
                model = kind.from_pretrained(source)
            elif kind is transformers.AutoModel:
                model = kind.from_config(config)  # type: ignore[no-untyped-call]  # transformers has no types there
            else:
                model = kind(config.vision_config)  # of both towers, the image's
            mean, std = _normalisation(source)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"the backbone {source!r} could not be loaded: {_first_line(error)}\n"
                "Name a model of the Hugging Face hub (reachable, or in its cache already), a local folder"
                f" that holds one, or one of {', '.join(PRESETS)}. `small` needs no weights from outside."
            ) from error
        super().__init__(mean, std)
        self.model = model
        self.model_type = str(config.model_type)
        with torch.no_grad():
            size = getattr(getattr(config, "vision_config", config), "image_size", 224)
            side = size if isinstance(size, int) else size[0]
            was = model.training
            self.embedding = self.eval().features(torch.zeros(1, 3, side, side)).shape[-1]
            self.train(was)

    def features(self, images: Tensor) -> Tensor:
        """See Backbone.features."""
        outputs = self.model(images)
        found = getattr(outputs, "image_embeds", None)
        if found is None:
            found = outputs.pooler_output
        embedded: Tensor = found.flatten(1)
        return embedded


def build_backbone(name: str, *, height: int, width: int, embedding: int, weights: bool) -> Backbone:
    """Make a backbone by a preset's name, a name on the hub, or a local folder. Raises ModelError."""
    if name == "small":
        return SmallNet(height, width, embedding=embedding)
    if name == "forerunner":
        return ForerunnerNet(height, width)
    preset = PRESETS.get(name)
    source = preset.source if preset is not None else None
    return PretrainedNet(source or name, weights=weights)


def from_scratch(name: str) -> bool:
    """Say whether a backbone has no pretrained weights."""
    return name in PRESETS and PRESETS[name].source is None


def _tower(model_type: str) -> Any:
    """The class that loads the image side of a model."""
    import transformers  # noqa: PLC0415 - see above

    towers = {
        "clip": transformers.CLIPVisionModelWithProjection,
        "siglip": transformers.SiglipVisionModel,
        "siglip2": transformers.Siglip2VisionModel,
    }
    return towers.get(model_type, transformers.AutoModel)


def _normalisation(source: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean and deviation a model was trained with; ImageNet's where it says nothing."""
    from transformers.utils.hub import cached_file  # noqa: PLC0415 - see above

    path = cached_file(source, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False)
    if path is None:
        return _IMAGENET_MEAN, _IMAGENET_STD
    settings = json.loads(Path(path).read_text("utf-8"))
    mean, std = settings.get("image_mean", _IMAGENET_MEAN), settings.get("image_std", _IMAGENET_STD)
    return tuple(float(value) for value in mean), tuple(float(value) for value in std)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
