"""P(first purchase) fitted on what a log says of its leads: the same way in a training and for
``stagecast leads``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stagecast.features.attributes import MISSING
from stagecast.features.clock import day_number
from stagecast.features.snapshots import Snapshot
from stagecast.features.stages.lifecycle import Lifecycle
from stagecast.training.leads.activity import RECIPE, Landmark
from stagecast.training.leads.conversion import LeadConversion, fit_lead_conversion
from stagecast.training.leads.exposure import leads_of
from stagecast.training.learners.design import Recipe
from stagecast.training.panel import Panel


def landmark(snapshot: Snapshot, signals: Sequence[str]) -> Landmark:
    """Return what was known of those who had not bought at a past date; ``signals`` are the
    scheme's.
    """
    rows = np.flatnonzero(~snapshot.buyers)
    columns = {name: snapshot.features[name][rows] for name in RECIPE.columns}
    columns |= {name: snapshot.standing.facts[name][rows] for name in signals}
    return Landmark(day_number(snapshot.as_of), snapshot.customer[rows], columns)


def landmarks_of(panel: Panel) -> list[Landmark]:
    """Return what the model of the first purchase sees of a panel's prospects, date by date."""
    return [
        Landmark(day_number(frame.as_of), frame.customer, frame.columns)
        for frame in panel.prospects
    ]


def fit_leads(
    life: Lifecycle,
    now: Snapshot,
    landmarks: Sequence[Landmark],
    *,
    orders: float = 1.0,
    spend: float = 0.0,
) -> LeadConversion:
    """Fit on every lead of a log, those that are still young among them.

    Parameters
    ----------
    life, now
        As known at the as_of; the horizon is the lifecycle's.
    landmarks
        Of past dates, see :func:`landmark`.
    orders, spend
        What those who converted brought within the horizon, on average.
    """
    record = life.record
    leads = leads_of(record.first_events, record.days.customer, record.days.first_purchase)
    categories = {name: np.full(len(record), MISSING, dtype=object) for name in now.categories}
    for name, values in now.categories.items():
        categories[name][now.customer] = values
    return fit_lead_conversion(
        leads,
        day_number(now.as_of),
        life.horizon_days,
        categories,
        landmarks,
        orders=orders,
        spend=spend,
        recipe=Recipe({**RECIPE.columns, **dict.fromkeys(life.scheme.signals, (True, 0))}),
    )
