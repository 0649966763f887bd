"""Fixtures that every level of the tests may ask for."""

import twitchcat.training  # noqa: F401 - before torch, whose threads it keeps from spinning

pytest_plugins = [
    "tests.fixtures.models",
    "tests.fixtures.postgres",
    "tests.fixtures.station",
    "tests.fixtures.collecting",
    "tests.fixtures.cli",
]
