"""The log that a model or a registered model is handed, and where it is cut."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from stagecast.features.arguments.values import shown
from stagecast.features.catalog.own import OwnFeatures
from stagecast.features.clock import microseconds
from stagecast.features.errors import UsageError
from stagecast.features.events import EventLog as CheckedLog
from stagecast.features.frames.instants import Instant, as_datetime
from stagecast.serving.python.event_log import EventLog


def checked_log(log: object, taker: str) -> CheckedLog:
    """Return a log as it was handed over.

    Parameters
    ----------
    taker
        What it was handed to, for the error.

    Raises
    ------
    UsageError
        It is none.
    """
    if not isinstance(log, CheckedLog):
        raise UsageError(
            f"log = {shown(log)}: {taker} takes an EventLog, not a {type(log).__name__}; read it "
            "first: log = sc.read_events(...)"
        )
    return log


def as_of_in(log: CheckedLog, as_of: Instant | None) -> datetime:
    """Return where a log is cut, as the clock of its shop shows it.

    Parameters
    ----------
    as_of
        None: the day after the last event.

    Raises
    ------
    UsageError
        The as_of does not stand after the first event.
    """
    return log.choose_as_of(None if as_of is None else as_datetime(as_of))


def covered_as_of(log: CheckedLog, as_of: Instant | None, horizon_days: int) -> datetime:
    """Return where a log is cut for scores, as :func:`as_of_in`.

    Raises
    ------
    UsageError
        The as_of does not stand after the first event, or stands more than a horizon after the
        last one, and not so at the same time of past years.
    """
    from stagecast.features.engines.duckdb import last_event_before
    from stagecast.features.shop.events import known_events_of
    from stagecast.training.checks import check_end, is_silent_too_long

    at = as_of_in(log, as_of)
    first, last = log.clock.shop(log.first_event), log.clock.shop(log.last_event)
    instant = microseconds(at)
    before = partial(last_event_before, log.con, known_events_of(log.con, instant), instant)
    if is_silent_too_long(before, at, first, last, horizon_days):
        check_end(at, last, horizon_days)
    return at


def own_features_of(log: CheckedLog) -> OwnFeatures:
    """Return the features of the ``stagecast.toml`` that a log was read with."""
    return log.reading.own if isinstance(log, EventLog) else OwnFeatures()
