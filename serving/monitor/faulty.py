"""What looks broken in a log since a training, named with its first day."""

from __future__ import annotations

from datetime import datetime

from stagecast.features.events import EventLog
from stagecast.serving.monitor.windows import (
    PURCHASE,
    EventDays,
    orders_around,
    purchase_amounts,
)
from stagecast.training.monitoring.faults import (
    Fault,
    level_fell,
    missing_customers,
    other_unit,
    renamed_types,
    silent_types,
)

DAYS_BEFORE = 90
"""Days before the training, or before a change, that are usual."""


def log_faults(
    log: EventLog, trained: datetime, as_of: datetime, days: EventDays
) -> tuple[list[Fault], list[str]]:
    """Return what looks broken, and each as a sentence.

    Parameters
    ----------
    log
        The log.
    trained, as_of
        In shop time.
    days
        Its events by day.
    """
    faults = renamed_types(days.types, days.training)
    explained = {name for fault in faults for name in (fault.subject, fault.before) if name}
    faults += silent_types(days.types, days.training, explained)
    if log.has_amounts:
        begin = max(0, days.training - DAYS_BEFORE)
        day, _, amount = purchase_amounts(log, trained, as_of, days, begin)
        above = amount > 0
        before = above & (day < days.training)
        later = above & (day >= days.training)
        unit = other_unit(
            PURCHASE, amount[before], day[later], amount[later], days.training, len(days)
        )
        faults += [] if unit is None else [unit]
    since = None if faults else level_fell(days.buyers, days.training)
    if since is not None:
        expected, observed = orders_around(log, as_of, days, since, min(DAYS_BEFORE, since))
        missing = missing_customers(days.buyers, expected, observed, since)
        faults += [] if missing is None else [missing]
    sentences = [
        fault.sentence.format(since="" if fault.since is None else days.date(fault.since))
        for fault in faults
    ]
    return faults, sentences
