"""Fixtures that every level of the tests may ask for."""

pytest_plugins = ["tests.fixtures.models", "tests.fixtures.postgres", "tests.fixtures.station"]
