"""The model card, and the numbers a model file carries."""

from pathlib import Path

import pytest

from tests.unit.evaluated import Capture, FakeModel, metadata_of, store
from twitchcat.dataset.snapshot import Snapshot
from twitchcat.training.card import accepted_metrics, model_card
from twitchcat.training.evaluate import evaluate_model
from twitchcat.training.scoring import Evaluation

METADATA = metadata_of("Chess", "Doom|2", window=5)
CAPTURES = [
    Capture("ada", "Chess", [0] * 8),
    Capture("ben", "Doom|2", [1] * 6 + [0] * 2),
    Capture("cyd", "Chess", [0] * 7 + [1]),
    Capture("dan", "Art", [3] * 8),  # not among the model's categories
    Capture("eve", "Chess", [0] * 4, split="train"),
    Capture("fay", "Doom|2", [1] * 3, split="val"),
]


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return store(CAPTURES, tmp_path)


@pytest.fixture
def evaluation(snapshot: Snapshot, tmp_path: Path) -> Evaluation:
    return evaluate_model(FakeModel(METADATA), snapshot, tmp_path)


def section(card: str, title: str) -> list[str]:
    """The lines under a heading."""
    lines = card.splitlines()
    begin = lines.index(f"## {title}") + 1
    end = next((n for n in range(begin, len(lines)) if lines[n].startswith("## ")), len(lines))
    return lines[begin:end]


def test_the_card_counts_the_data_of_each_split(snapshot: Snapshot, evaluation: Evaluation) -> None:
    data = section(model_card(METADATA, snapshot, evaluation), "Data")
    assert "| Chess | id-Chess | 4 (1) | 0 (0) | 16 (2) |" in data
    assert "| Doom\\|2 | id-Doom\\|2 | 0 (0) | 3 (1) | 8 (1) |" in data
    assert "Left out of training, as unknown: Art (8 (1))." in data


def test_the_card_has_the_measured_numbers_with_their_intervals(
    snapshot: Snapshot, evaluation: Evaluation
) -> None:
    card = model_card(METADATA, snapshot, evaluation)
    assert evaluation.fingerprint in card
    frames = next(line for line in section(card, "Results") if line.startswith("| single frame"))
    assert str(evaluation.frame.scores.accuracy) in frames
    assert f"{21 / 24:.3f} (" in frames
    assert any("categories left out" in line for line in section(card, "Unknown"))
    assert any(line.startswith("| Doom\\|2 |") for line in section(card, "By category"))


def test_the_limits_come_from_counts(snapshot: Snapshot, evaluation: Evaluation) -> None:
    limits = "\n".join(section(model_card(METADATA, snapshot, evaluation), "Limits"))
    assert "can name 2 categories" in limits
    assert "seen 1 channels in training" in limits
    assert "Fewer than 3 test channels show Chess, Doom|2" in limits
    assert "recalls Doom|2 least often" in limits


def test_a_model_that_was_not_evaluated_says_so_and_no_number(snapshot: Snapshot) -> None:
    card = model_card(METADATA, snapshot, None)
    assert section(card, "Results") == [
        "",
        "Not evaluated: nothing is known of how often it is right.",
        "",
    ]
    assert "accuracy" not in card


def test_the_file_carries_what_promotion_compares(evaluation: Evaluation) -> None:
    metrics = accepted_metrics(evaluation)
    assert metrics["frame_accuracy"] == pytest.approx(21 / 24)
    window = next(one for one in evaluation.windows if one.length == 5).mean
    assert window is not None
    assert metrics["window_accuracy"] == window.scores.accuracy.value
    assert metrics["evaluated_on"] == evaluation.fingerprint
    assert metrics["auroc_frame_max_logit_categories_left_out"] == 1.0


def test_captures_shorter_than_the_window_leave_its_accuracy_out(tmp_path: Path) -> None:
    short = store([Capture("ada", "Chess", [0] * 3), Capture("ben", "Doom|2", [1] * 3)], tmp_path)
    metrics = accepted_metrics(evaluate_model(FakeModel(METADATA), short, tmp_path))
    assert "window_accuracy" not in metrics
    assert metrics["frame_accuracy"] == 1.0
