"""Pretrained backbones, laid out in a folder as the hub does, and their embeddings in the database."""

import json
import time
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from sqlalchemy import text

from tests.unit.test_training_loop import Watcher
from tests.unit.test_training_sequences import tracks
from twitchcat.config import Settings
from twitchcat.dataset.collect import image_store
from twitchcat.dataset.database import Database
from twitchcat.dataset.embeddings import load_embeddings, stored_frames
from twitchcat.dataset.importing.importer import open_and_import
from twitchcat.dataset.importing.take import Sampling
from twitchcat.dataset.snapshot import SnapshotFrame, freeze
from twitchcat.dataset.split import split_dataset
from twitchcat.errors import ConfigError, ModelError
from twitchcat.training.embedding import embed_frames, encoder_name, frozen_network
from twitchcat.training.heads import build_head
from twitchcat.training.loop import Limits, Stopped, train_stage
from twitchcat.training.network import NetworkSpec, build
from twitchcat.training.recipe import Recipe
from twitchcat.training.stages import HeadStage

CLIPS = Path(__file__).parents[2] / "twitchcat" / "station" / "clips"
CPU = torch.device("cpu")
MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def tiny(kind: str) -> transformers.PreTrainedModel:
    """A model of a kind that a preset names, with random weights and little of them."""
    torch.manual_seed(0)
    vision = SMALL | {"image_size": 64, "patch_size": 16, "projection_dim": 24}
    match kind:
        case "resnet":
            return transformers.ResNetModel(
                transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1])
            )
        case "mobilenet":
            return transformers.MobileNetV2Model(transformers.MobileNetV2Config(depth_multiplier=0.1))
        case "dinov2":
            return transformers.Dinov2Model(transformers.Dinov2Config.from_dict(vision))
        case "clip":
            words = SMALL | {"vocab_size": 50, "max_position_embeddings": 8}
            config = transformers.CLIPConfig(text_config=words, vision_config=vision, projection_dim=24)
            return transformers.CLIPModel(config)
        case _:
            raise ValueError(kind)


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder as the hub lays it out, of the kind that a test names."""
    place = tmp_path / "hub" / str(request.param)
    tiny(str(request.param)).save_pretrained(place)
    settings = {"image_mean": MEAN, "image_std": STD}
    (place / "preprocessor_config.json").write_text(json.dumps(settings))
    return place


@pytest.fixture
def frames(settings: Settings, database: Database) -> tuple[SnapshotFrame, ...]:
    """The frames of the packaged clips, split, few of each."""
    open_and_import(settings, [CLIPS], manifest=None, sampling=Sampling(frames=3))
    split_dataset(database, seed=0)
    return freeze(database).frames


@pytest.mark.parametrize("folder", ["resnet", "mobilenet", "dinov2", "clip"], indirect=True)
def test_a_local_folder_is_a_backbone_with_its_own_weights_and_normalisation(folder: Path) -> None:
    spec = NetworkSpec(classes=3, backbone=str(folder), input_height=64, input_width=64)
    network = build(spec).eval()
    with torch.no_grad():
        logits, embeddings, _ = network(
            torch.zeros(2, 3, 64, 64, 3, dtype=torch.uint8), network.initial_state(2)
        )
    assert logits.shape == (2, 3, 3)
    assert embeddings.shape == (2, 3, network.embedding)
    assert torch.allclose(network.backbone.mean.flatten(), torch.tensor(MEAN))  # type: ignore[operator]  # a buffer
    again = build(spec)
    for one, other in zip(network.backbone.parameters(), again.backbone.parameters(), strict=True):
        assert torch.equal(one, other)
    without = build(spec, weights=False)
    assert without.embedding == network.embedding


@pytest.mark.parametrize("folder", ["clip"], indirect=True)
def test_of_a_model_that_also_reads_only_the_image_tower_is_taken(folder: Path) -> None:
    network = build(NetworkSpec(classes=3, backbone=str(folder), input_height=64, input_width=64)).eval()
    whole = transformers.CLIPModel.from_pretrained(folder)
    whole.train(False)
    pictures = torch.rand(2, 3, 64, 64)
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, STD))
    with torch.no_grad():
        expected = (
            whole.vision_model((pictures - mean) / std).pooler_output @ whole.visual_projection.weight.T
        )
        torch.testing.assert_close(network.backbone(pictures), expected, atol=1e-5, rtol=1e-5)


def test_a_backbone_that_cannot_be_had_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"could not be loaded(.|\n)*`small` needs no weights"):
        build(NetworkSpec(classes=3, backbone=str(tmp_path)))


def test_a_backbone_without_weights_embeds_nothing() -> None:
    with pytest.raises(ConfigError, match="name a pretrained one"):
        frozen_network("small", device=CPU)


@pytest.mark.parametrize("folder", ["dinov2"], indirect=True)
def test_embeddings_are_computed_once(
    settings: Settings, database: Database, frames: tuple[SnapshotFrame, ...], folder: Path
) -> None:
    network = frozen_network(str(folder), device=CPU)
    images, stop = image_store(settings).root, Event()

    def interrupt(done: int, total: int) -> None:
        assert done < total
        stop.set()

    with pytest.raises(Stopped):
        embed_frames(database, network, frames, images, stop=stop, progress=interrupt)
    encoder = encoder_name(network)
    before = len(stored_frames(database, encoder))
    assert 0 < before < len(frames)

    rest = embed_frames(database, network, frames, images, stop=Event())
    assert (rest.frames, rest.added) == (len(frames), len(frames) - before)
    assert embed_frames(database, network, frames, images, stop=Event()).added == 0

    kept = load_embeddings(database, encoder, [frame.frame_id for frame in frames])
    assert kept.shape == (len(frames), network.embedding)
    assert kept.dtype == np.float32
    back = load_embeddings(database, encoder, [frame.frame_id for frame in reversed(frames)])
    assert np.array_equal(back[::-1], kept)
    lengths = {frame.frame_id for frame in frames}
    with database.begin(read_only=True) as connection:
        assert set(connection.execute(text("SELECT frame_id FROM embeddings")).scalars()) == lengths


@pytest.mark.parametrize("folder", ["dinov2"], indirect=True)
def test_other_weights_are_another_encoder(folder: Path) -> None:
    network = frozen_network(str(folder), device=CPU)
    name = encoder_name(network)
    assert name.startswith("dinov2 224x224 letterbox ")
    with torch.no_grad():
        next(network.backbone.parameters()).add_(0.01)
    assert encoder_name(network) != name


def test_a_head_learns_from_ten_thousand_embeddings_in_under_a_minute() -> None:
    names = [chr(97 + i) for i in range(20)]
    train = tracks(*((name, f"{name}{i}", 25) for name in names for i in range(20)))
    val = tracks(*((name, f"v{name}", 25) for name in names))
    rng = np.random.default_rng(0)
    corners = rng.standard_normal((len(names), 512))
    looks = [
        torch.from_numpy(
            (corners[one.labels] + 2 * rng.standard_normal((len(one.labels), 512))).astype(np.float32)
        )
        for one in (train, val)
    ]
    recipe = Recipe()
    head = build_head("lstm", embedding=512, classes=len(names), hidden=128, dropout=0.3)
    stage = HeadStage(head, recipe=recipe, train=(looks[0][None], train), val=(looks[1], val), device=CPU)
    limits = Limits(device=CPU, seed=0, stop=Event(), clock=time.monotonic)
    saved: list[dict[str, Any]] = []
    began = time.monotonic()
    _, rows = train_stage(stage, recipe, limits, observer=Watcher(Event()), resume=None, save=saved.append)
    assert len(train.labels) == 10_000
    assert max(row.val_accuracy or 0.0 for row in rows) > 0.95
    assert time.monotonic() - began < 60
