"""`twitchcat db`: the database, for people and for other programs."""

import json
import os
import signal
import sys
from typing import Annotated

import typer

from twitchcat.cli.context import settings_of
from twitchcat.cli.errors import cli_errors

app = typer.Typer(no_args_is_help=True, help="Set up the database, and ask it.")


@app.command()
def upgrade(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Bring the database's tables to what this twitchcat expects; on a new one, make them.

    The embedded database does this by itself. Another one changes only here: take a backup first.

    Example: twitchcat db upgrade
    """
    with cli_errors():
        from twitchcat.dataset import revision
        from twitchcat.dataset.database import open_database

        with open_database(settings_of(context), require_current=False) as database:
            before, after = revision.upgrade(database)
        if as_json:
            typer.echo(json.dumps({"from": before, "to": after}))
        elif before == after:
            typer.echo(f"{after}: nothing to do")
        else:
            typer.echo(f"{before or 'empty'} → {after}")


@app.command()
def query(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(help="One statement that returns rows; - reads it from stdin.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines: one object per row.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")] = False,
) -> None:
    """Print what one SQL query returns. It can change nothing.

    The views frame_index and channel_now are made to be asked: docs/sql.md has examples.

    The setting database.statement_timeout bounds its time.

    Example: twitchcat db query "SELECT category, count(*) FROM frame_index GROUP BY category"
    """
    if as_json and as_csv:
        raise typer.BadParameter("--json or --csv, not both")
    with cli_errors():
        from twitchcat.cli import rows
        from twitchcat.dataset.database import open_database
        from twitchcat.dataset.query import answer_interrupts, run_query

        settings = settings_of(context)
        text = sys.stdin.read() if sql == "-" else sql
        write = rows.write_json if as_json else rows.write_csv if as_csv else rows.write_table
        with open_database(settings) as database:
            answer_interrupts()
            with run_query(database, text, timeout=settings.database.statement_timeout) as result:
                write(result.columns, result.rows, sys.stdout)
                sys.stdout.flush()


@app.command()
def url(
    context: typer.Context,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the embedded server running until Ctrl-C.")
    ] = False,
) -> None:
    """Print the database's URL, password included, for psql, pandas and other clients.

    The embedded server runs only while a twitchcat process uses it: let `--keep` run in one terminal and
    use the URL in another. For psql alone, `twitchcat db shell` does both.

    Example: twitchcat db url --keep
    """
    with cli_errors():
        from twitchcat.dataset.database import open_database

        wanted = {signal.SIGINT, signal.SIGTERM}
        if keep:  # from here on they wait until they are asked for, the server's start included
            signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
        with open_database(settings_of(context)) as database:
            typer.echo(database.url.libpq())
            if keep:
                sys.stdout.flush()
                signal.sigwait(wanted)
            elif database.embedded:
                typer.echo(
                    "twitchcat: this server stops with the last twitchcat process; --keep holds it", err=True
                )


@app.command(context_settings={"ignore_unknown_options": True})
def shell(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Passed on to psql.", show_default=False, metavar="[ARGS]…")
    ] = None,
) -> None:
    """Open psql on the database: the machine's own, else the one that comes with twitchcat. It may write.

    The embedded server is kept running meanwhile.

    Example: twitchcat db shell
    """
    with cli_errors():
        import shutil
        import subprocess

        from twitchcat.dataset.binaries import bin_folder
        from twitchcat.dataset.database import open_database

        with open_database(settings_of(context), require_current=False) as database:
            psql = shutil.which("psql") or str(bin_folder() / "psql")
            environment = dict(os.environ)
            if database.url.password is not None:  # arguments can be read by every user of the machine
                environment["PGPASSWORD"] = database.url.password
            command = [psql, "--dbname", database.url.libpq(password=False), *(arguments or [])]
            # Ctrl-C is for the statement that psql runs. A handler, unlike SIG_IGN, is not inherited.
            before = signal.signal(signal.SIGINT, lambda *_: None)
            try:
                done = subprocess.run(command, check=False, env=environment)
            finally:
                signal.signal(signal.SIGINT, before)
    raise typer.Exit(done.returncode)
