"""The audit log: one line of JSON for each change, without the id of a customer.

``{"time", "event", "key", "route", "status", "customer", "plan"}``; ``customer`` is a keyed hash
(:func:`stagecast.serving.keys.server_secret.keyed_hash`), so that lines about one customer can be
brought together by who has the store, and by nobody else.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from stagecast.features.errors import UsageError


class AuditLog:
    """Where the lines go.

    Parameters
    ----------
    path
        The file, to which lines are added; None: stderr.

    Raises
    ------
    UsageError
        The file cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        if path is not None:
            try:
                os.close(self._open(path))
            except OSError as error:
                raise UsageError(
                    f"the audit log '{path}' cannot be written: {error.strerror}; name another "
                    "file in STAGECAST_AUDIT_LOG"
                ) from None

    @staticmethod
    def _open(path: Path) -> int:
        # opened for each line, so that the file can be moved away while the server runs
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, event: str, now: datetime, **fields: str | int | None) -> None:
        """Write a line.

        Parameters
        ----------
        event
            ``plan``, ``export``, ``admin`` or ``keys``.
        now
            The present, UTC.
        **fields
            What else is known; None is left out.
        """
        instant = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, str | int] = {"time": instant, "event": event}
        line |= {name: value for name, value in fields.items() if value is not None}
        data = (json.dumps(line) + "\n").encode()
        if self._path is not None:
            try:
                descriptor = self._open(self._path)
                try:
                    os.write(descriptor, data)  # one call, so that lines of workers do not mix
                finally:
                    os.close(descriptor)
                return
            except OSError:
                pass  # a full disk must not hide the change: it goes to stderr
        sys.stderr.write(data.decode())
        sys.stderr.flush()
