"""Fitting of P(first purchase) on the leads of a log, in trainings and for ``stagecast leads``."""

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
    """Return the leads of a past date with their columns and counts of the scheme's signals."""
    rows = np.flatnonzero(~snapshot.buyers)
    columns = {name: snapshot.features[name][rows] for name in RECIPE.columns}
    columns |= {name: snapshot.standing.facts[name][rows] for name in signals}
    return Landmark(day_number(snapshot.as_of), snapshot.customer[rows], columns)


def landmarks_of(panel: Panel) -> list[Landmark]:
    """Return the prospects of a panel as landmarks, one per date."""
    return [
        Landmark(day_number(frame.as_of), frame.customer, frame.columns)
        for frame in panel.prospects
    ]


def fit_leads(
    life: Lifecycle,
    snapshot: Snapshot,
    landmarks: Sequence[Landmark],
    *,
    orders: float = 1.0,
    spend: float = 0.0,
) -> LeadConversion:
    """Fit on every lead of a log, also young ones.

    Parameters
    ----------
    life
        Lifecycle at the as_of; gives the horizon.
    snapshot
        Snapshot at the as_of.
    landmarks
        Leads of past dates, see :func:`landmark`.
    orders, spend
        Mean orders and spend within the horizon of those who converted.
    """
    record = life.record
    leads = leads_of(record.first_events, record.days.customer, record.days.first_purchase)
    categories = {name: np.full(len(record), MISSING, dtype=object) for name in snapshot.categories}
    for name, values in snapshot.categories.items():
        categories[name][snapshot.customer] = values
    return fit_lead_conversion(
        leads,
        day_number(snapshot.as_of),
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
        One entry per customer of the log, also for customers who never were a lead.
    as_of_day
        The as_of as a day number.
    horizon_days
        Horizon of the prediction, in days.
    categories
        Column -> one text per entry of ``leads``: ``channel`` and columns known at the first
        contact.
    landmarks
        Leads of past dates with their columns, also of dates within the last horizon; without any,
        activity is not used.
    orders, spend
        Mean orders and spend within the horizon of those who converted.
    recipe
        Columns of the landmarks to use.
    half_life_days
        See :func:`stagecast.training.leads.exposure.exposure`.
    """
    observed = exposure(leads, as_of_day, half_life_days=None)
    hits, days = observed.conversions, float(observed.days.sum())
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
