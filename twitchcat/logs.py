"""Log records: a fixed event name plus fields, as text on a terminal and as JSON lines elsewhere."""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Literal

#: What every record has; all else was given as `extra` and is a field.
_STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {
    "message",
    "asctime",
    "taskName",
}


def set_up_logging(*, level: str, style: Literal["auto", "text", "json"], terminal: bool) -> None:
    """Send twitchcat's records from `level` on to stderr, and those of libraries from warning on."""
    handler = logging.StreamHandler()
    as_text = style == "text" or (style == "auto" and terminal)
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("twitchcat").setLevel(level.upper())


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What was given to the record beside its event name."""
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


class JsonFormatter(logging.Formatter):
    """One JSON object per record: time, level, logger, event and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields(record),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """`21:04:10 warning event key=value …`, for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, and the traceback below it."""
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        extra = "".join(f" {name}={value}" for name, value in fields(record).items())
        line = f"{at} {record.levelname.lower()} {record.getMessage()}{extra}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
