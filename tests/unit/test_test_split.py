"""What is learned never looks at the test split: who may name it is written down here."""

import ast
from pathlib import Path

import pytest

import twitchcat

PACKAGE = Path(twitchcat.__file__).parent

#: Module: why it names the test split.
ALLOWED = {
    "dataset/schema.py": "the column's values",
    "dataset/snapshot.py": "the type of splits",
    "dataset/deal.py": "deals channels into splits",
    "dataset/split.py": "deals channels into splits, and counts them",
    "dataset/registry.py": "compares which pictures two models were tested on, without opening any",
    "training/evaluate.py": "evaluates",
    "training/run.py": "asks whether there is anything to be evaluated on in the end",
    "training/crossval.py": "makes splits of its own",
    "training/card.py": "counts frames for the model card",
    "cli/train.py": "counts frames",
}


def modules() -> list[str]:
    rooms = ("training", "dataset", "recognition", "cli")
    return sorted(
        path.relative_to(PACKAGE).as_posix() for room in rooms for path in (PACKAGE / room).rglob("*.py")
    )


def names_the_test_split(source: str) -> bool:
    return any(
        isinstance(node, ast.Constant) and node.value == "test" for node in ast.walk(ast.parse(source))
    )


@pytest.mark.parametrize("module", modules())
def test_only_evaluation_names_the_test_split(module: str) -> None:
    assert not names_the_test_split((PACKAGE / module).read_text()) or module in ALLOWED


def test_the_list_holds_nobody_who_no_longer_needs_it() -> None:
    assert [one for one in ALLOWED if not names_the_test_split((PACKAGE / one).read_text())] == []


def test_naming_it_is_found_out() -> None:
    assert names_the_test_split("frames = snapshot.of('test')")
    assert not names_the_test_split("frames = snapshot.of('val')")
