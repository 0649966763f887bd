"""The files of an evaluation."""

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.unit.evaluated import Capture, FakeModel, metadata_of, store
from twitchcat.errors import ConfigError, StoreError
from twitchcat.frames.picture import decode_image
from twitchcat.training.calibration import BINS, Reliability
from twitchcat.training.evaluate import evaluate_model
from twitchcat.training.plots import confusion_plot, curves_plot, reliability_plot
from twitchcat.training.report import class_table, write_report
from twitchcat.training.scoring import Evaluation

NAMES = ("Chess", "Tom & <Jerry>", "A$AP $how")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


@pytest.fixture
def evaluation(images: Path) -> Evaluation:
    captures = [
        Capture("a", NAMES[0], [0.1] * 8),
        Capture("b", NAMES[0], [0.2] * 4 + [1.0]),
        Capture("c", NAMES[1], [1.1] * 8),
        Capture("z", "Hearts", [3.6] * 8),
    ]
    return evaluate_model(FakeModel(metadata_of(*NAMES, window=5)), store(captures, images), images)


class Page(HTMLParser):
    """What a page says, and what it would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.sources: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


def test_every_file_is_written(evaluation: Evaluation, images: Path, tmp_path: Path) -> None:
    page = write_report(tmp_path / "new" / "run", evaluation, images=images)
    assert page.name == "report.html"
    assert {one.name for one in page.parent.iterdir()} == {
        "report.html",
        "metrics.json",
        "classes.csv",
        "confusion.png",
        "reliability.png",
        "worst_frames.jpg",
    }


def test_the_page_needs_nothing_but_itself(evaluation: Evaluation, images: Path, tmp_path: Path) -> None:
    html = write_report(tmp_path, evaluation, images=images).read_text()
    page = Page(html)
    assert len(page.sources) == 3
    assert all(one.startswith("data:image/") for one in page.sources)
    assert not page.tags & {"script", "link", "iframe"}
    assert not re.search(r"url\(|@import", html)
    assert "prefers-color-scheme: dark" in html


def test_the_page_says_what_was_measured(evaluation: Evaluation, images: Path, tmp_path: Path) -> None:
    text = " ".join(Page(write_report(tmp_path, evaluation, images=images).read_text()).text.split())
    assert "Tom & <Jerry>" in text
    assert "95.2 %" in text  # 20 of 21 frames
    assert "30 frames no capture is that long" in text
    assert "categories left out" in text
    assert "never saw" in text


def test_what_training_has_left_comes_into_the_page(evaluation: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "curves.csv").write_text(
        "stage,epoch,train_loss,val_loss,val_accuracy\nbackbone,1,2.0,2.1,0.3\nhead,1,1.0,,0.6\n"
    )
    (tmp_path / "config.json").write_text(json.dumps({"recipe": {"epochs": 7}, "note": "<b>"}))
    page = Page(write_report(tmp_path, evaluation).read_text())
    assert (tmp_path / "curves.png").stat().st_size > 0
    assert len(page.sources) == 3
    assert "recipe.epochs" in page.text
    assert "<b>" in page.text


def test_the_class_table_leaves_empty_what_was_not_measured(evaluation: Evaluation) -> None:
    chess, jerry, show = csv.DictReader(class_table(evaluation).splitlines())
    assert (chess["name"], chess["frames"], chess["recall_low"] != "") == ("Chess", "13", True)
    assert (jerry["recall"], jerry["recall_low"]) == ("1.0", "")  # one channel: no interval
    assert (show["frames"], show["recall"], show["window_recall"]) == ("0", "", "")


def test_metrics_are_json_without_nan(evaluation: Evaluation, tmp_path: Path) -> None:
    write_report(tmp_path, evaluation)
    text = (tmp_path / "metrics.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["verdicts"] == "windows of 5 frames"


def test_without_a_wrong_frame_there_is_no_sheet(images: Path, tmp_path: Path) -> None:
    right = store([Capture("a", "Chess", [0.0] * 5)], images)
    evaluation = evaluate_model(FakeModel(metadata_of(*NAMES)), right, images)
    assert "worst_frames.jpg" not in {
        one.name for one in write_report(tmp_path / "run", evaluation, images=images).parent.iterdir()
    }


def test_a_picture_that_is_gone_and_a_folder_that_cannot_be(
    evaluation: Evaluation, images: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_report(tmp_path / "file", evaluation)
    (images / evaluation.worst[0].path).unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        write_report(tmp_path, evaluation, images=images)


@pytest.mark.parametrize("classes", [1, 2, 30, 60])
def test_a_confusion_matrix_of_any_size_can_be_drawn(classes: int) -> None:
    names = [f"ゲーム {number} $x$" for number in range(classes)]
    picture = decode_image(confusion_plot(np.eye(classes, dtype=np.int64) * 7, names))
    assert min(picture.shape[:2]) > 300


def test_plots_stand_on_no_data_too() -> None:
    nothing = Reliability(
        count=np.zeros(BINS, np.int64), confidence=np.full(BINS, np.nan), accuracy=np.full(BINS, np.nan)
    )
    assert decode_image(reliability_plot(nothing, nothing)).size > 0
    assert decode_image(curves_plot({"train_loss": [1.0]}, stages=["backbone"])).size > 0


def test_the_same_evaluation_gives_the_same_files(
    evaluation: Evaluation, images: Path, tmp_path: Path
) -> None:
    first, second = (write_report(tmp_path / name, evaluation, images=images) for name in ("one", "two"))
    for file in first.parent.iterdir():
        assert file.read_bytes() == (second.parent / file.name).read_bytes()
