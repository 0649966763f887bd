"""Where a database is: read from what people write, printed without its password."""

import pytest

from twitchcat.dataset.address import Address
from twitchcat.dataset.database import unsuitable
from twitchcat.errors import ConfigError


@pytest.mark.parametrize(
    ("written", "for_clients"),
    [
        pytest.param("postgres://ana@db/x", "postgresql://ana@db/x", id="short scheme"),
        pytest.param("postgresql+psycopg2://ana@db/x", "postgresql://ana@db/x", id="with a driver"),
        pytest.param("postgresql://a:p%40ss@db:6543/x", "postgresql://a:p%40ss@db:6543/x", id="escapes stay"),
        pytest.param(
            "postgresql://db/x?sslmode=require", "postgresql://db/x?sslmode=require", id="options stay"
        ),
        pytest.param("postgresql:///x", "postgresql:///x", id="all the rest from libpq's own environment"),
    ],
)
def test_any_usual_spelling_is_read(written: str, for_clients: str) -> None:
    address = Address.parse(written)
    assert address.libpq() == for_clients
    assert address.sqlalchemy.drivername == "postgresql+psycopg2"


def test_the_password_is_masked_wherever_an_address_is_printed() -> None:
    address = Address.parse("postgresql://ana:hunter2@db/x")
    assert str(address) == "postgresql://ana:***@db/x"
    assert repr(address) == "Address('postgresql://ana:***@db/x')"
    assert address.libpq(password=False) == "postgresql://ana@db/x"
    assert address.password == "hunter2"


@pytest.mark.parametrize(
    ("written", "words"),
    [
        pytest.param("sqlite:///hunter2.db", "sqlite is not Postgres", id="another database"),
        pytest.param("ana:hunter2@db", "is no URL", id="no scheme"),
        pytest.param("postgresql://ana:hunter2@db:high/x", "is no URL", id="a port that is no number"),
    ],
)
def test_anything_else_is_a_wrong_setting_and_not_repeated(written: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Address.parse(written)
    assert "hunter2" not in str(caught.value)


def test_a_socket_s_folder_may_have_any_name() -> None:
    address = Address.of_socket(folder="/data/my streams&co/postgres", user="ana", database="x")
    assert address.libpq() == "postgresql://ana@/x?host=%2Fdata%2Fmy+streams%26co%2Fpostgres"


@pytest.mark.parametrize(
    ("version", "pgvector", "words"),
    [
        pytest.param(15, "0.7.0", None, id="the oldest that will do"),
        pytest.param(18, "0.10.1", None, id="a version is not a decimal fraction"),
        pytest.param(14, "0.8.0", "is PostgreSQL 14; twitchcat needs 15 or later", id="old Postgres"),
        pytest.param(18, "0.6.2", "has pgvector 0.6.2; twitchcat needs 0.7 or later", id="old pgvector"),
        pytest.param(18, None, "has no pgvector", id="no pgvector"),
    ],
)
def test_a_server_that_cannot_be_used_is_told_why(
    version: int, pgvector: str | None, words: str | None
) -> None:
    problem = unsuitable(version=version, pgvector=pgvector)
    assert problem is None if words is None else words in str(problem)
