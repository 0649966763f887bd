"""The database: reachable, recent enough, at the right revision. Never changed here."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from twitchcat.config import Settings
from twitchcat.dataset import revision
from twitchcat.dataset.database import open_database
from twitchcat.dataset.embedded import EmbeddedServer
from twitchcat.doctor.finding import Finding, Level, failed_by, failure, ok, warning
from twitchcat.doctor.storage import directory_finding
from twitchcat.errors import ConfigError, RevisionMismatch, StoreError

_PGVECTOR = text(
    "SELECT installed_version, default_version FROM pg_available_extensions WHERE name = 'vector'"
)
#: Who may put an extension in: PostgreSQL's manual, CREATE EXTENSION.
_MAY_CREATE = text(
    "SELECT rolsuper OR has_database_privilege(current_database(), 'CREATE') AND EXISTS ("
    "  SELECT FROM pg_available_extension_versions JOIN pg_available_extensions USING (name)"
    "  WHERE name = 'vector' AND version = default_version AND (trusted OR NOT superuser))"
    " FROM pg_roles WHERE rolname = current_user"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFacts:
    """What the server says of itself."""

    where: str  #: with no password in it
    embedded: bool
    tried_out: bool = False  #: in a temporary folder, since there is no embedded database yet
    version: str  #: of PostgreSQL
    revision: str | None  #: None: never set up
    mismatch: RevisionMismatch | None  #: None: the revision is the right one
    known: bool  #: whether this twitchcat can upgrade from the revision
    pgvector: str | None  #: version, if the database has it
    pgvector_at_hand: str | None  #: version that the server could install
    may_create: bool = True  #: whether our role may have it installed


def examine_database(settings: Settings) -> list[Finding]:
    """Open the database and look.

    Where there is no embedded one so far, a trial in a temporary folder says whether it would work.
    """
    try:
        facts = _facts(settings)
    except ConfigError as error:
        return [failed_by("database", error, "Correct database.url, or unset it for the embedded server.")]
    except StoreError as error:
        return [failed_by("database", error, _advice(settings))]
    return database_findings(facts)


def database_findings(facts: DatabaseFacts) -> list[Finding]:
    """Judge what the server says of itself."""
    version = f"PostgreSQL {facts.version}"
    if facts.tried_out:
        at = f"{version}, embedded, works in a trial; {facts.where} is made when it is first needed"
        return [ok("database", at), _pgvector(facts)]
    return [ok("database", f"{version} at {facts.where}"), _revision(facts), _pgvector(facts)]


def _revision(facts: DatabaseFacts) -> Finding:
    if facts.mismatch is None:
        return ok("revision", f"{facts.revision}, as this twitchcat needs it")
    if facts.embedded and facts.known:
        return ok("revision", f"{facts.revision or 'none'}; the next command that needs it upgrades it")
    # Errors of revisions say what is the case and, after a colon, what to do.
    case, _, remedy = str(facts.mismatch).partition(": ")
    return failure("revision", case, f"{remedy[:1].upper()}{remedy[1:]}.", facts.mismatch)


def _pgvector(facts: DatabaseFacts) -> Finding:
    if facts.pgvector is not None:
        return ok("pgvector", facts.pgvector)
    if facts.pgvector_at_hand is not None and not facts.may_create:
        said = f"{facts.pgvector_at_hand} at hand, but this role may not put it into the database"
        advice = "Have a superuser run `CREATE EXTENSION vector` in this database once."
        return warning("pgvector", said, advice)
    if facts.pgvector_at_hand is not None:
        return ok("pgvector", f"{facts.pgvector_at_hand} at hand; `twitchcat db upgrade` puts it in")
    advice = "Install pgvector on the database server."
    return failure("pgvector", "the server does not have it", advice, StoreError())


def _facts(settings: Settings) -> DatabaseFacts:
    if settings.database.url is not None:
        return _look(settings)
    cluster = EmbeddedServer(settings.data_dir).cluster
    if _is_made(cluster):
        return _look(settings, where=f"{cluster} (embedded)")
    directory = directory_finding(settings.data_dir)
    if directory.level is Level.FAILURE:
        raise StoreError(f"the embedded database cannot be made: {directory.message}")
    with tempfile.TemporaryDirectory(prefix="twitchcat-doctor-") as folder:
        elsewhere = settings.model_copy(update={"data_dir": Path(folder)})
        return _look(elsewhere, where=str(cluster), tried_out=True)


def _is_made(cluster: Path) -> bool:
    try:
        return (cluster / "PG_VERSION").exists()
    except PermissionError:
        return True  # or may be: opening it says what is the matter


def _look(settings: Settings, *, where: str | None = None, tried_out: bool = False) -> DatabaseFacts:
    with (
        open_database(settings, require_current=tried_out) as database,
        database.begin(read_only=True) as connection,
    ):
        current = revision.current_revision(connection)
        pgvector = connection.execute(_PGVECTOR).one_or_none()
        return DatabaseFacts(
            where=where or str(database.url),
            embedded=database.embedded,
            tried_out=tried_out,
            version=str(connection.scalar(text("SHOW server_version"))).split(" ")[0],
            revision=current,
            mismatch=revision.mismatch(current),
            known=current is None or current in revision.known_revisions(),
            pgvector=pgvector.installed_version if pgvector else None,
            pgvector_at_hand=pgvector.default_version if pgvector else None,
            may_create=bool(connection.scalar(_MAY_CREATE)),
        )


def _advice(settings: Settings) -> str:
    if settings.database.url is None:
        directory = directory_finding(settings.data_dir)
        if directory.advice is not None:
            return directory.advice
        logs = "`postgres/start.log` and `postgres/log` in data_dir"
        return f"See {logs}, or set database.url to a server of yours."
    return "Start the server, or correct host, port, user and password in database.url."
