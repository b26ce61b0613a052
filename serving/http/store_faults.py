"""What an error of the store is to a caller: reading or writing, and whether to try again."""

from __future__ import annotations

from sqlalchemy.exc import OperationalError, ProgrammingError, SQLAlchemyError

from stagecast.serving.http.problems import ProblemError
from stagecast.serving.quoting import quote

READING = frozenset({"GET", "HEAD", "OPTIONS"})
BUSY_SECONDS, FULL_SECONDS = 5, 60
_BUSY = ("database is locked", "database table is locked", "database schema is locked")
_BUSY_STATES = frozenset({"55P03", "40001", "40P01", "57014"})
_FULL, _FULL_STATES = ("database or disk is full",), frozenset({"53100"})
_READ_ONLY, _READ_ONLY_STATES = ("readonly database",), frozenset({"25006"})


def store_problem(error: SQLAlchemyError, method: str) -> ProblemError:
    """Return the 503 of an error of the store.

    Parameters
    ----------
    error
        What SQLAlchemy raised.
    method
        Method of the request, which says whether it reads or writes.
    """
    verb = "read" if method in READING else "written"
    cause = cause_of(error)
    if _is(error, _BUSY, _BUSY_STATES):
        return ProblemError(
            503,
            "store-busy",
            f"the store cannot be {verb} now: somebody else writes to it; nothing was changed; try "
            f"again in {BUSY_SECONDS} s",
            headers={"Retry-After": str(BUSY_SECONDS)},
        )
    if _is(error, _FULL, _FULL_STATES):
        return ProblemError(
            503,
            "store-full",
            f"the store cannot be {verb}: its disk is full; nothing was changed; free space, then "
            "try again",
            headers={"Retry-After": str(FULL_SECONDS)},
        )
    if _is(error, _READ_ONLY, _READ_ONLY_STATES):
        return ProblemError(
            503,
            "store-read-only",
            "the store cannot be written: it is open for reading only; nothing was changed",
        )
    if verb == "read":
        return ProblemError(503, "store-unreadable", f"the store cannot be read: {cause}")
    return ProblemError(503, "store-unwritable", f"the store cannot be written: {cause}")


def cause_of(error: SQLAlchemyError) -> str:
    """Return why the store failed, without values of its rows.

    The texts of some errors name the row, such as that of a key that occurs twice.
    """
    cause = getattr(error, "orig", None)
    if cause is None or not isinstance(error, OperationalError | ProgrammingError):
        return type(error).__name__
    return quote((str(cause).splitlines() or [""])[0])


def _is(error: SQLAlchemyError, texts: tuple[str, ...], states: frozenset[str]) -> bool:
    cause = getattr(error, "orig", None)
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return state in states
    return any(text in str(cause) for text in texts)
