"""P(first purchase) fitted on what a log says of its leads: the same way in a training and for
``stagecast leads``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stagecast.features.attributes import MISSING, Texts
from stagecast.features.clock import day_number
from stagecast.features.snapshots import Snapshot
from stagecast.features.stages.lifecycle import Lifecycle
from stagecast.training.leads.activity import RECIPE
from stagecast.training.leads.conversion import UNKNOWN, LeadConversion
from stagecast.training.leads.exposure import HALF_LIFE_DAYS, Leads, exposure, leads_of
from stagecast.training.leads.fit_activity import Landmark, fit_activity
from stagecast.training.leads.fit_hazard import fit_hazard
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


FEWEST_FOR_HAZARD = 10


def fit_lead_conversion(
    leads: Leads,
    as_of_day: float,
    horizon_days: int,
    categories: Mapping[str, Texts],
    landmarks: Sequence[Landmark] = (),
    *,
    orders: float = 1.0,
    spend: float = 0.0,
    recipe: Recipe = RECIPE,
    half_life_days: float | None = HALF_LIFE_DAYS,
) -> LeadConversion:
    """Fit on everything known before the as_of.

    Parameters
    ----------
    leads
        One entry per customer of the log, those who never were a lead among them.
    as_of_day
        Day number.
    categories
        Column -> one text per entry of ``leads``: ``channel`` and what was known at the start.
    landmarks
        What leads had done so far at past dates; a date within the last horizon serves as well.
        Empty: activity is not looked at.
    orders, spend
        What those who converted brought within the horizon, on average.
    recipe
        How the columns of the landmarks enter.
    """
    seen = exposure(leads, as_of_day, half_life_days=None)
    hits, days = seen.conversions, float(seen.days.sum())
    with np.errstate(invalid="ignore"):
        rows = int(((leads.start < as_of_day) & ~(leads.converted <= leads.start)).sum())
    share = (hits + 0.5) / (hits + days / horizon_days + 1.0) if rows else UNKNOWN
    if hits < FEWEST_FOR_HAZARD:
        return LeadConversion(None, None, share, horizon_days, orders, spend, rows, hits)
    hazard = fit_hazard(leads, as_of_day, categories, half_life_days=half_life_days)
    start = hazard.multiplier(categories, len(leads))
    activity = fit_activity(
        leads, hazard, start, landmarks, as_of_day, horizon_days, recipe, half_life_days
    )
    return LeadConversion(hazard, activity, share, horizon_days, orders, spend, rows, hits)
