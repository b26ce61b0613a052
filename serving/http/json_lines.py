"""The server's log: a line of JSON for each record, with the id of the request that it is about."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from stagecast.serving.http.request_ids import request_id


class JsonLines(logging.Formatter):
    """Formats a record as one line: ``time``, ``level``, ``logger``, ``message``, ``request_id``.

    A record that was logged with ``extra={"fields": {...}}`` has these fields too. A traceback has
    the text of its exception, which can hold a customer's id, so only the kind is written.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (of_request := request_id.get()) is not None:
            line["request_id"] = of_request
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        line |= getattr(record, "fields", {})
        return json.dumps(line, ensure_ascii=False, default=str)


LOG_CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"lines": {"()": f"{__name__}.JsonLines"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
    "loggers": {
        name: {"handlers": ["stderr"], "level": level, "propagate": False}
        for name, level in (
            ("uvicorn", "WARNING"),
            ("stagecast", "INFO"),
            ("mcp", "WARNING"),
            ("opentelemetry", "WARNING"),
        )
    },
}
"""Configuration of the log of a server, for :func:`logging.config.dictConfig`."""
