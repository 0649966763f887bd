"""Opening a database by URL: what is accepted, what is refused and in which words."""

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, text

from tests.fixtures.postgres import ESCAPED, PASSWORD, PostgresServer
from twitchcat.config import DatabaseSettings, Settings
from twitchcat.dataset.database import Database, open_database
from twitchcat.dataset.schema import Capture, Category, Channel, Frame
from twitchcat.errors import ConfigError, RevisionMismatch, StoreError


def at(url: str) -> Settings:
    return Settings(database=DatabaseSettings(url=SecretStr(url)))


def url_of(settings: DatabaseSettings) -> str:
    assert settings.url is not None
    return settings.url.get_secret_value()


@pytest.mark.parametrize("scheme", ["postgresql://", "postgres://", "postgresql+psycopg2://"])
def test_every_usual_scheme_means_the_same_driver(database_settings: DatabaseSettings, scheme: str) -> None:
    with open_database(at(url_of(database_settings).replace("postgresql://", scheme))) as database:
        assert database.engine.dialect.driver == "psycopg2"
        assert not database.embedded
        with database.begin() as connection:
            assert connection.scalar(text("SHOW application_name")) == "twitchcat"


def test_printing_a_database_masks_its_password(database: Database) -> None:
    for shown in (str(database.url), repr(database.url), f"{database.url}", repr(database.engine)):
        assert "***" in shown
        assert PASSWORD not in shown
        assert ESCAPED not in shown
    assert ESCAPED in database.url.libpq()
    assert ESCAPED not in database.url.libpq(password=False)


def test_a_wrong_password_is_an_error_without_the_password(postgres_server: PostgresServer) -> None:
    url = postgres_server.url("postgres").replace(ESCAPED, "hunter2")
    with pytest.raises(StoreError, match="password authentication failed") as caught:
        open_database(at(url))
    assert "hunter2" not in str(caught.value)


def test_an_unreachable_server_is_an_error_without_the_password() -> None:
    with pytest.raises(StoreError, match=r"cannot be reached: .*127\.0\.0\.1.*refused") as caught:
        open_database(at("postgresql://ana:hunter2@127.0.0.1:1/twitchcat"))
    assert "hunter2" not in str(caught.value)


def test_a_missing_database_is_named(postgres_server: PostgresServer) -> None:
    with pytest.raises(StoreError, match='database "nowhere" does not exist'):
        open_database(at(postgres_server.url("nowhere")))


@pytest.mark.parametrize(
    "url", ["postgresql://ana:hunter2@localhost:port/x", "postgresql://ana:hunter2@[::1/x"]
)
def test_what_is_no_url_of_a_postgres_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^database\.url: ") as caught:
        open_database(at(url))
    assert "hunter2" not in str(caught.value)


def test_a_database_without_tables_is_not_touched_but_sent_to_upgrade(
    empty_database_settings: DatabaseSettings,
) -> None:
    with pytest.raises(RevisionMismatch, match=r"is not set up yet .*run `twitchcat db upgrade`"):
        open_database(Settings(database=empty_database_settings))
    with (
        open_database(Settings(database=empty_database_settings), require_current=False) as database,
        database.begin() as connection,
    ):
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert connection.scalar(text(tables)) == 0


@pytest.mark.parametrize(
    ("revision", "words"),
    [
        pytest.param(
            "0000", "revision 0000, which this twitchcat does not know", id="from a newer twitchcat"
        ),
        pytest.param(None, "not set up yet", id="none"),
    ],
)
def test_another_revision_is_named(
    settings: Settings, database: Database, revision: str | None, words: str
) -> None:
    with database.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
        if revision:
            connection.execute(text("INSERT INTO alembic_version VALUES (:r)"), {"r": revision})
    with pytest.raises(RevisionMismatch, match=words):
        open_database(settings)


def test_a_failed_statement_rolls_back_and_says_what_postgres_refused(database: Database) -> None:
    def add_twice() -> None:
        with database.begin() as connection:
            connection.execute(insert(Category).values(id="1", name="Chess"))
            connection.execute(insert(Category).values(id="1", name="Chess again"))

    with pytest.raises(StoreError, match=r'refused: duplicate key value .* "categories_pkey"') as caught:
        add_twice()
    assert "INSERT" not in str(caught.value)
    with database.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM categories")) == 0


def test_other_exceptions_roll_back_and_pass(database: Database) -> None:
    def fail() -> None:
        with database.begin() as connection:
            connection.execute(insert(Category).values(id="1", name="Chess"))
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()
    with database.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM categories")) == 0


def test_a_server_that_restarts_is_noticed_by_nobody(
    postgres_server: PostgresServer, database: Database
) -> None:
    with database.begin() as connection:
        connection.execute(insert(Category).values(id="1", name="Chess"))
    postgres_server.stop()
    try:
        with pytest.raises(StoreError, match="cannot be reached"), database.begin():
            pass
    finally:
        postgres_server.start()
    with database.begin() as connection:
        assert connection.scalar(text("SELECT name FROM categories")) == "Chess"


def frame(capture_id: int, **changes: object) -> dict[str, object]:
    """A frame of the channel "10", at the first place of a capture."""
    return {
        "capture_id": capture_id,
        "channel_id": "10",
        "category_id": "1",
        "position": 0,
        "captured_at": "2026-03-01T12:00:00Z",
        "width": 640,
        "height": 360,
        "bytes": 1000,
        "sha256": "0" * 64,
        "phash": -1,
        "path": "00/0.jpg",
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        pytest.param(
            {"channel_id": "20", "position": 1}, "frames_capture_id_channel_id_fkey", id="another channel's"
        ),
        pytest.param({"position": 1}, "frames_channel_id_captured_at_key", id="the same moment again"),
        pytest.param(
            {"captured_at": "2026-03-01T12:00:02Z"}, "frames_capture_id_position_key", id="no place"
        ),
        pytest.param({"split": "training"}, "frames_split_known_check", id="an unknown split"),
        pytest.param({"sha256": "G" * 64}, "frames_sha256_is_hex_check", id="a hash that is none"),
    ],
)
def test_frames_that_cannot_be_are_refused(
    database: Database, changes: dict[str, object], constraint: str
) -> None:
    with database.begin() as connection:
        connection.execute(insert(Category).values(id="1", name="Chess"))
        for channel in ("10", "20"):
            connection.execute(insert(Channel).values(id=channel, login=channel, display_name=channel))
        when = {"started_at": "2026-03-01T12:00:00Z", "finished_at": "2026-03-01T12:00:01Z"}
        capture = insert(Capture).values(channel_id="10", outcome="kept", **when).returning(Capture.id)
        capture_id = connection.scalar(capture)
        assert capture_id is not None
        connection.execute(insert(Frame).values(**frame(capture_id)))
    with pytest.raises(StoreError, match=constraint), database.begin() as connection:
        connection.execute(insert(Frame).values(**frame(capture_id, **changes)))
    with database.begin() as connection:
        connection.execute(text("DELETE FROM channels WHERE id = '10'"))
        assert connection.scalar(text("SELECT count(*) FROM frames")) == 0
