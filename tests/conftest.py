"""Fixtures that every level of the tests may ask for."""

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.station",
    "tests.fixtures.collecting",
    "tests.fixtures.cli",
]
