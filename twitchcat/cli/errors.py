"""Errors of twitchcat as exit codes: the only place that knows them."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from twitchcat.cli.console import OutputLost, give_up_output, printable
from twitchcat.errors import (
    ChannelOffline,
    ConfigError,
    ModelError,
    QueryError,
    StoreError,
    StreamUnreadable,
    TwitchcatError,
    TwitchError,
)

#: 0 is done, 1 unexpected, 5 no verdict.
EXIT_CODES: dict[type[TwitchcatError], int] = {
    ConfigError: 2,
    QueryError: 2,
    ChannelOffline: 3,
    StreamUnreadable: 4,
    ModelError: 6,
    StoreError: 7,
    TwitchError: 8,
}


def exit_code(error: TwitchcatError) -> int:
    """The exit code of an error: that of its nearest listed class, else 1."""
    return next((EXIT_CODES[cls] for cls in type(error).__mro__ if cls in EXIT_CODES), 1)


def exit_code_of_reason(reason: str) -> int:
    """The exit code of the error that goes by this name in tables and JSON; 1 if none does."""
    known = [TwitchcatError]
    for error in known:
        if error.reason == reason and error is not TwitchcatError:
            return exit_code(error())
        known.extend(error.__subclasses__())
    return 1


@contextmanager
def cli_errors() -> Iterator[None]:
    """Print a TwitchcatError as one sentence and leave with its exit code."""
    try:
        yield
    except TwitchcatError as error:
        print_error(str(error))
        raise typer.Exit(exit_code(error)) from error
    except OutputLost as error:
        raise typer.Exit(give_up_output(error)) from error


def print_error(message: str) -> None:
    """Say on stderr what went wrong."""
    for line in message.splitlines():
        typer.echo(f"twitchcat: {printable(line)}", err=True)
