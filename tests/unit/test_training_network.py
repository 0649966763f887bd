"""The networks: sizes, states, and what they refuse."""

import pytest
import torch
from torch import nn

from twitchcat.training.backbones import ForerunnerNet
from twitchcat.training.heads import HEADS, build_head
from twitchcat.training.network import NetworkSpec, build
from twitchcat.training.recipe import recipe_for

D, C = 24, 5


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("cuts", [(1,) * 40, (3, 30, 7), (39, 1)], ids=["frame by frame", "in parts", "late"])
def test_a_stream_gives_the_same_logits_whole_and(cuts: tuple[int, ...], name: str) -> None:
    torch.manual_seed(0)
    head = build_head(name, embedding=D, classes=C, hidden=16, dropout=0.5).eval()
    embeddings = torch.randn(3, 40, D)
    with torch.no_grad():
        whole, end = head(embeddings, torch.zeros(3, head.state_size))
        state, parts = torch.zeros(3, head.state_size), []
        for part in torch.split(embeddings, list(cuts), dim=1):
            logits, state = head(part, state)
            parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(state, end, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["mean", "lstm", "transformer"])
def test_what_was_seen_changes_what_is_said(name: str) -> None:
    torch.manual_seed(0)
    head = build_head(name, embedding=D, classes=C, hidden=16, dropout=0.0).eval()
    last = torch.randn(1, 1, D)
    with torch.no_grad():
        one, _ = head(torch.cat([torch.randn(1, 5, D), last], dim=1), torch.zeros(1, head.state_size))
        other, _ = head(torch.cat([torch.randn(1, 5, D), last], dim=1), torch.zeros(1, head.state_size))
    assert float((one[:, -1] - other[:, -1]).abs().max()) > 1e-3


def test_the_transformer_forgets_what_is_longer_ago_than_its_memory() -> None:
    torch.manual_seed(0)
    head = build_head("transformer", embedding=D, classes=C, hidden=16, dropout=0.0).eval()
    recent = torch.randn(1, 31, D)
    with torch.no_grad():
        one, _ = head(torch.cat([torch.randn(1, 9, D), recent], dim=1), torch.zeros(1, head.state_size))
        other, _ = head(torch.cat([torch.randn(1, 9, D), recent], dim=1), torch.zeros(1, head.state_size))
    torch.testing.assert_close(one[:, -1], other[:, -1])


def test_the_small_network_fits_into_twelve_megabytes() -> None:
    network = build(NetworkSpec(classes=300))
    assert sum(one.numel() for one in network.parameters()) * 4 < 12e6


def test_the_small_network_knows_where_on_the_picture_something_is() -> None:
    torch.manual_seed(0)
    network = build(NetworkSpec(classes=2, head="frame")).eval()
    frames = torch.zeros(1, 2, 144, 256, 3, dtype=torch.uint8)
    frames[0, 0, 8:40, 8:40] = 255
    frames[0, 1, 104:136, 216:248] = 255
    with torch.no_grad():
        _, embeddings, _ = network(frames, network.initial_state(1))
    assert float((embeddings[0, 0] - embeddings[0, 1]).abs().max()) > 0.05


@pytest.mark.parametrize(("height", "width"), [(32, 32), (90, 160), (144, 256), (180, 320), (250, 130)])
def test_the_small_network_takes_any_input_size(height: int, width: int) -> None:
    network = build(NetworkSpec(classes=3, input_height=height, input_width=width)).eval()
    frames = torch.zeros(2, 3, height, width, 3, dtype=torch.uint8)
    with torch.no_grad():
        logits, embeddings, state = network(frames, network.initial_state(2))
    assert logits.shape == (2, 3, 3)
    assert embeddings.shape == (2, 3, 192)
    assert state.shape == network.initial_state(2).shape


def test_the_forerunner_is_as_it_was() -> None:
    net = ForerunnerNet(240, 240)
    convolutions = [one for one in net.modules() if isinstance(one, nn.Conv2d)]
    assert [one.out_channels for one in convolutions] == [128, 64, 32, 16]
    assert sum(isinstance(one, nn.MaxPool2d) for one in net.modules()) == 4
    assert [one.out_features for one in net.modules() if isinstance(one, nn.Linear)] == [256]
    assert [one.p for one in net.modules() if isinstance(one, nn.Dropout)] == [0.5]
    assert torch.equal(net.mean.flatten(), torch.zeros(3))  # type: ignore[operator]  # a buffer is a tensor
    recipe = recipe_for("forerunner")
    assert (recipe.augmentation, recipe.clutter, recipe.weight_decay) == (0.0, 0.0, 0.0)  # so AdamW is Adam


def test_a_preset_brings_its_input_size() -> None:
    spec = NetworkSpec.preset("forerunner", classes=3, head="frame")
    assert (spec.input_height, spec.input_width) == (240, 240)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        pytest.param({"classes": 1}, "two classes", id="one class"),
        pytest.param({"classes": 3, "head": "gru"}, "frame, mean, lstm, transformer", id="unknown head"),
        pytest.param({"classes": 3, "input_height": 8}, "32 by 32", id="tiny input"),
    ],
)
def test_a_specification_that_cannot_be_built_says_why(wrong: dict[str, int], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        NetworkSpec(**wrong)  # type: ignore[arg-type]  # strings and numbers by name
