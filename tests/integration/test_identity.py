"""An image store and a database know that they belong together; nothing is removed where they do not."""

from pathlib import Path

import pytest

from tests.fixtures.collecting import Collecting, Dataset
from twitchcat.dataset.identity import bind
from twitchcat.dataset.images import ImageStore
from twitchcat.errors import ConfigError


def test_a_new_store_becomes_the_databases_and_stays_it(dataset: Dataset) -> None:
    bind(dataset.database, dataset.store)
    assert dataset.store.dataset() == str(dataset.value("SELECT id FROM dataset"))
    bind(dataset.database, dataset.store)


def test_a_store_of_another_database_is_refused_unless_it_is_adopted(dataset: Dataset) -> None:
    dataset.store.mark("of-another")
    with pytest.raises(ConfigError, match=r"belongs to another database.*--adopt"):
        bind(dataset.database, dataset.store)
    bind(dataset.database, dataset.store, adopt=True)
    bind(dataset.database, dataset.store)


def test_an_empty_folder_in_place_of_the_images_is_refused(collecting: Collecting, tmp_path: Path) -> None:
    collecting.collect(logins=["doom_s2"], once=True)
    assert collecting.dataset.frames() > 0
    with pytest.raises(ConfigError, match="is its volume mounted"):
        bind(collecting.dataset.database, ImageStore(tmp_path / "not-mounted"))


def test_images_in_reach_of_another_database_are_refused(collecting: Collecting) -> None:
    collecting.collect(logins=["doom_s2"], once=True)
    collecting.dataset.change("DELETE FROM frames")
    collecting.dataset.change("UPDATE dataset SET id = gen_random_uuid()")
    with pytest.raises(ConfigError, match="belongs to another database"):
        collecting.collect(logins=["doom_s2"], once=True)
