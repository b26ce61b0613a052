"""Fitting of P(no purchase) in a log with few customers: the customer base and a regression on RFM.

    past dates with 60 buyers, 10 of either outcome -> customer base + regression on RFM, pooled
    fewer                                           -> the customer base alone
    either  -> brought to the level of the last horizon, or of the same season in past years

Trees and splines need more (:mod:`stagecast.training.inactivity.fitting`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stagecast.training.inactivity.members import GapRule
from stagecast.training.inactivity.model import ChurnModel, customer_base_alone, rule_alone
from stagecast.training.inactivity.simple import better_alone, fit_simple, out_of_fold_margins
from stagecast.training.inactivity.unseen import Unseen
from stagecast.training.learners import blend
from stagecast.training.learners.pool import CustomerBaseOdds, Member, Pool, pooled
from stagecast.training.member_settings import MemberSettings
from stagecast.training.panel import Frame, Panel, days_known, seasons_of

FEWEST_CUSTOMERS, FEWEST_OF_EACH = 60, 10
"""Least number of buyers at a past date, and of those who stayed and who left, for a regression."""

# Weights before a past date has spoken, and the penalty of the regression: the rows of neighbouring
# dates are of the same customers, so there are fewer of them than it seems.
PRIOR: Mapping[str, float] = {"btyd": 0.9, "rfm": 0.1}
PENALTY = 5.0


def has_rows(frame: Frame, customers: int, of_each: int) -> bool:
    """Return whether a date has so many customers, and of both outcomes, of different recencies."""
    inactive = int(frame.inactive.sum())
    if len(frame) < customers or min(inactive, len(frame) - inactive) < of_each:
        return False
    return float(np.ptp(frame.columns["recency_days"])) > 0


def has_few_rows(frame: Frame) -> bool:
    """Return whether a date has enough customers of both outcomes for a regression on RFM."""
    return has_rows(frame, FEWEST_CUSTOMERS, FEWEST_OF_EACH)


def few_dates(panel: Panel, horizon_days: int) -> list[Frame]:
    """Return the past dates with enough rows for a regression, newest first.

    None where the horizon of the newest has not just ended: nothing tells the weights then.
    """
    dates = [frame for frame in panel.dates if has_few_rows(frame)]
    return dates if dates and dates[0].back == horizon_days else []


def fit_few(
    panel: Panel,
    rule: GapRule,
    horizon_days: int,
    seed: int,
    settings: MemberSettings = MemberSettings(),  # noqa: B008 - it cannot be changed
) -> tuple[ChurnModel, Unseen | None]:
    """Fit the customer base and a regression on RFM, or the customer base alone.

    Also returned is what the pool said of customers that it was not fitted on, at the newest date;
    None without a date.

    Parameters
    ----------
    panel
        Past dates with their outcomes.
    rule
        The rule on the gaps between purchases.
    horizon_days
        Horizon of the prediction, in days.
    seed
        Of the draws of customers.
    settings
        Of the members; those of the user need more customers.
    """
    dates = few_dates(panel, horizon_days)
    prior = {name: weight for name, weight in PRIOR.items() if settings.uses(name)}
    if not prior or (not dates and "btyd" not in prior):
        return rule_alone(rule, horizon_days), None
    if not dates:
        return _at_last_level(panel, customer_base_alone(rule, horizon_days)), None
    newest = dates[0]
    margins = out_of_fold_margins(dates, _fit)
    weighed = {name: margins[name] for name in prior}
    if len(prior) < len(PRIOR):
        margins = {name: margins[name] for name in margins if name in prior or name not in PRIOR}
        prior = dict.fromkeys(prior, 1.0)
    weights = blend.pool_weights(weighed, newest.inactive, prior)
    alone = better_alone(pooled(weighed, weights), margins, newest.inactive, seed)
    weights = weights if alone is None else {alone: 1.0}
    unseen = Unseen.of(newest, margins, weights, later=False)
    used = {name: weight for name, weight in weights.items() if weight > 1e-4}
    total = sum(used.values())
    members = _fit(dates)
    model = ChurnModel(
        "blend",
        horizon_days,
        {name: weight / total for name, weight in used.items()},
        0.0,
        rule,
        {name: members[name] for name in used},
        "other_customers",
        few_customers=True,
        alone=alone,
    )
    return _at_last_level(panel, model), unseen


def _fit(dates: Sequence[Frame]) -> dict[str, Member]:
    # the customer base is fitted with the panel, date by date; it is a column of the frames
    return {"btyd": CustomerBaseOdds(), **fit_simple(dates, penalty=PENALTY)}


def _at_last_level(panel: Panel, model: ChurnModel) -> ChurnModel:
    """Return the model at the level of the last horizon, as far as its customers tell it.

    Where the level of the same season in past years is another one beyond chance, it is followed as
    far as that.
    """
    newest = panel.dates[0] if panel.dates else None
    if newest is None or newest.back != model.horizon_days or not len(newest):
        return model
    pool = Pool(model.members, model.weights)

    def shift_of(frame: Frame) -> float:
        return blend.level_shift(pool.margin(frame.columns), frame.inactive)

    level = blend.shrunk_level(shift_of(newest), newest.inactive)
    seasons = [
        frame
        for frame in seasons_of(panel.dates, panel.history_days)
        if len(frame) and frame.back >= newest.back + model.horizon_days
    ]
    if not seasons:
        return model.at_level(level)
    shifts = [shift_of(frame) for frame in seasons]
    information = [blend.information_of(frame.inactive) for frame in seasons]
    known = days_known(seasons)
    of_season = float(np.average(shifts, weights=known))
    variance = 1.0 / sum(information) + 1.0 / blend.information_of(newest.inactive)
    belief = blend.beyond_chance(of_season - shift_of(newest), variance)
    shrunk = [
        blend.shrunk_level(shift, frame.inactive)
        for shift, frame in zip(shifts, seasons, strict=True)
    ]
    carried = blend.carried_mean(blend.CARRIED, shrunk, panel.years, known)
    return model.at_level((1.0 - belief) * level + belief * carried)
