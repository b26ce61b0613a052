"""Fitting of :class:`stagecast.training.inactivity.model.ChurnModel`: weights, level, method.

Members are fitted on every date of a panel. Their weights are learned on rows that they were not
fitted on: of a later date, or in a young log of other customers. The level of the pool is
calibrated on the same season a year ago; in a log too young to have one it moves half the way to
the level of the customer base, which is an average over the whole history. A simple method that is
better than the pool beyond chance on those rows replaces it.

Logs with fewer customers are for :mod:`stagecast.training.inactivity.few_customers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.training.calendar import Calendar
from stagecast.training.inactivity.few_customers import few_dates, fit_few, has_rows
from stagecast.training.inactivity.fit_members import (
    USUAL,
    fit_before,
    fit_members,
    prior_weights,
    trees_plan,
)
from stagecast.training.inactivity.in_step import pay_in_step
from stagecast.training.inactivity.members import ALONE, GapRule
from stagecast.training.inactivity.model import ChurnModel, customer_base_pool, rule_alone
from stagecast.training.inactivity.own_members import EstimatorOdds
from stagecast.training.inactivity.season_level import NoneBySeason, towards_season
from stagecast.training.inactivity.simple import better_alone, fit_simple, out_of_fold_margins
from stagecast.training.inactivity.unseen import Unseen
from stagecast.training.learners import blend
from stagecast.training.learners.calendar_effects import learn_occasions
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.pool import CustomerBaseOdds, Member, Pool, pooled
from stagecast.training.member_settings import MemberSettings
from stagecast.training.panel import (
    Frame,
    Panel,
    days_known,
    outside_season,
    seasons_of,
    stack,
    thinned,
)

# Least number of customers, and of those who stayed and who left, that all members are fitted on.
FEWEST_CUSTOMERS, FEWEST_OF_EACH = 200, 30
# Where there is no earlier date: least shrinkage of the weights (more customers do not show better
# how the shop will change), and about how many rows are used.
YOUNG_PULL, YOUNG_ROWS = 0.005, 100_000
# Share of the way from the level of the pool to that of the customer base, where no season is
# known: at 35 dates of logs that young the log loss fell by half a per cent on average, by 6 %
# where a first season ended, and rose by 1.5 % at most.
UNKNOWN_SEASON = 0.5
# The same to that of a customer base which knows of a peak that is over. The members see its
# purchases in their columns, and may know no date that had it in its past: with .5 the customers
# expected a month after it were 1.10 of the truth, with this 1.02.
KNOWN_PEAK = 1.0


def has_enough_rows(frame: Frame) -> bool:
    """Return whether a date has enough customers of both outcomes, with different recencies."""
    return has_rows(frame, FEWEST_CUSTOMERS, FEWEST_OF_EACH)


def training_dates(panel: Panel) -> list[Frame]:
    """Return the past dates with enough rows, newest first, reduced to their shared columns."""
    dates = [frame for frame in panel.dates if has_enough_rows(frame)]
    return dates if panel.base is None else with_shared_columns(dates, panel.base)


def season_dates(panel: Panel, dates: Sequence[Frame]) -> list[Frame]:
    """Return the dates of the same season in past years, newest first, of one, two and three years.

    Nobody, or everybody, may have bought within a horizon of them: a season in which nobody buys is
    one, though no model can be fitted on it.

    Parameters
    ----------
    panel
        All past dates.
    dates
        Those with enough rows to fit members on, with the columns of the members.
    """
    columns = list(dates[0].columns)
    return [
        replace(frame, columns={name: frame.columns[name] for name in columns})
        for frame in seasons_of(panel.dates, panel.history_days)
        if len(frame) >= FEWEST_CUSTOMERS and frame.columns.keys() >= set(columns)
    ]


def teach_now(panel: Panel, dates: Sequence[Frame], horizon_days: int) -> bool:
    """Return whether dates with enough rows of both outcomes teach the customers of today.

    The newest date has to be among them, whose horizon has just ended. If all of its customers did
    the same, as where the shop was closed since, the dates before teach, with the level of the
    season in past years.

    Parameters
    ----------
    panel
        All past dates.
    dates
        Those with enough rows, newest first.
    horizon_days
        The horizon.
    """
    if not dates:
        return False
    newest = panel.dates[0]
    if dates[0].back == horizon_days:
        return True
    was_closed = newest.back == horizon_days and len(newest) >= FEWEST_CUSTOMERS
    return was_closed and bool(season_dates(panel, dates))


def every_date(panel: Panel) -> list[Frame]:
    """Return all past dates, newest first, reduced to the columns that customers have now."""
    dates = list(panel.dates)
    if panel.base is not None:
        return with_shared_columns(dates, panel.base)
    return [
        replace(
            frame, columns={n: v for n, v in frame.columns.items() if not n.startswith("btyd_")}
        )
        for frame in dates
    ]


def taught_by(panel: Panel, horizon_days: int) -> list[Frame]:
    """Return the past dates that :func:`fit_churn` learns from, newest first."""
    if panel.base is None:
        return []
    dates = training_dates(panel)
    if teach_now(panel, dates, horizon_days):
        return dates
    return few_dates(panel, horizon_days)


def fit_churn(
    panel: Panel,
    current: Mapping[str, Array],
    rule: GapRule,
    horizon_days: int,
    seed: int,
    calendar: Calendar = Calendar(),  # noqa: B008 - it cannot be changed
    settings: MemberSettings = USUAL,
) -> ChurnModel:
    """Return the model of :func:`fit_churn_and_unseen`."""
    return fit_churn_and_unseen(panel, current, rule, horizon_days, seed, calendar, settings)[0]


def fit_churn_and_unseen(
    panel: Panel,
    current: Mapping[str, Array],
    rule: GapRule,
    horizon_days: int,
    seed: int,
    calendar: Calendar = Calendar(),  # noqa: B008 - it cannot be changed
    settings: MemberSettings = USUAL,
    calm_none: Callable[[Mapping[str, Array]], Array] | None = None,
    none_by_season: NoneBySeason | None = None,
) -> tuple[ChurnModel, Unseen | None]:
    """Fit the members on every date of the panel, and their weights on the newest.

    Also returned is what the pool said of the newest date before its outcomes were known, or of
    customers that it was not fitted on; None where no date teaches weights.

    For the weights and the number of trees, the members are fitted once more on the dates whose
    horizon ends before the newest date. In a log too young to have any, the weights are learned
    from customers that the members were not fitted on. With too little data the model is that of
    few customers, or the rule on gaps.

    Parameters
    ----------
    panel
        Past dates with their outcomes, and the customer base.
    current
        Columns of the buyers at the as_of, or of a sample of them.
    rule
        The rule on the gaps between purchases.
    horizon_days
        Horizon of the prediction, in days.
    seed
        Seed of all random draws.
    calendar
        Known occasions, past and to come.
    settings
        Which members there are, and theirs.
    calm_none
        Returns P(no purchase) of customers of a date, or of a sample of them, by a customer base
        that knows of a peak of the log which is over, and of which the panel has the ordinary days
        alone; None: there was none.
    none_by_season
        P(no purchase) of buyers of a date by a model of the season; None where there is none.
    """
    if panel.base is None:
        return rule_alone(rule, horizon_days), None
    if panel.base.is_seasonal:
        # what members learn at a past date holds at no other part of the year
        return customer_base_pool(rule, horizon_days, few=not panel.dates), None
    dates = training_dates(panel)
    if not teach_now(panel, dates, horizon_days):
        return fit_few(panel, rule, horizon_days, seed, settings)
    newest = dates[0]
    on_date = pay_in_step(panel.base, current, horizon_days)
    earlier_dates = [frame for frame in dates if frame.back >= newest.back + horizon_days]
    prior = prior_weights(len(newest), settings)
    plan = trees_plan(settings)
    if earlier_dates:
        plan, earlier_members = fit_before(earlier_dates, newest, seed, settings)
        margins = Pool(earlier_members).margins(newest.columns)
        weights = blend.pool_weights(margins, newest.inactive, prior)
        simple = fit_simple(thinned(earlier_dates, YOUNG_ROWS), ALONE)
        margins |= Pool(simple).margins(newest.columns)
    else:
        sample = thinned(dates, YOUNG_ROWS)
        newest = sample[0]
        margins = out_of_fold_margins(
            sample, lambda inside: fit_members(inside, seed, plan, settings)
        )
        weights = blend.pool_weights(margins, newest.inactive, prior, YOUNG_PULL)
        margins |= out_of_fold_margins(sample, lambda inside: fit_simple(inside, ALONE))
    alone = better_alone(
        pooled(margins, weights),
        {name: margins[name] for name in (*ALONE, "rfm", "btyd") if name in margins},
        newest.inactive,
        seed,
    )
    if alone is not None:
        weights = {alone: 1.0}
    elif on_date:
        weights = {"btyd": 1.0}
    unseen = Unseen.of(newest, margins, weights, later=bool(earlier_dates))

    def members_of(frames: Sequence[Frame]) -> dict[str, Member]:
        if alone in ALONE:
            return fit_simple(frames, (alone,))
        if list(weights) == ["btyd"]:  # fitted with the panel
            return {"btyd": CustomerBaseOdds()}
        return fit_members(frames, seed, plan, settings)

    members = members_of(dates)
    pool = Pool(members, weights)
    # payments on dates of their own have no season: what members say at a date of a year ago, of
    # younger customers than they were fitted on, is no level of it
    seasons = [] if panel.base.has_dates else season_dates(panel, dates)

    def shift_of(pool: Pool, frame: Frame) -> float:
        return blend.level_shift(pool.margin(frame.columns), frame.inactive)

    by_calendar = learn_occasions(
        calendar, horizon_days, dates, lambda frame: shift_of(pool, frame)
    )
    if calm_none is not None:
        of_peak = partial(_towards, pool, calm_none)
        newest, seasons = dates[0], []
        shifts = [shift_of(pool, newest) - of_peak(newest.columns) - by_calendar(newest.as_of)]
        towards_base = of_peak(current)
    elif on_date:
        shifts, seasons, towards_base = [0.0], [], 0.0
    elif not seasons:
        newest = dates[0]
        shifts = [shift_of(pool, newest) - by_calendar(newest.as_of)]
        towards_base = UNKNOWN_SEASON * blend.level_shift(
            pool.margin(current), expit(current["btyd_none"])
        )
    else:
        towards_base = 0.0
        # trees learn the level of a date that they are fitted on, so the level is measured with
        # members that were not fitted on that season
        shifts = []
        for season in seasons:
            other_dates = outside_season(dates, season, horizon_days)
            reference_pool = Pool(members_of(other_dates), weights) if other_dates else pool
            shifts.append(shift_of(reference_pool, season) - by_calendar(season.as_of))
    occasions = by_calendar(panel.as_of)
    known = days_known(seasons) if seasons else None
    level = blend.carried_level(shifts, panel.years, known) + towards_base
    by_season = 0.0
    if none_by_season is not None and seasons and not calendar.occasions:
        level, by_season = towards_season(
            level, shifts, seasons, none_by_season, pool.margin, current
        )
    level += occasions
    used = {name: weight for name, weight in weights.items() if weight > 1e-4}
    if settings.own:
        members = _measured(members, dates)
    total = sum(used.values())
    model = ChurnModel(
        "blend",
        horizon_days,
        {name: weight / total for name, weight in used.items()},
        level,
        rule,
        {name: members[name] for name in used},
        "later_date" if earlier_dates else "other_customers",
        towards_base,
        by_calendar=occasions,
        alone=alone,
        by_season=by_season,
    )
    return model, unseen


def _towards(
    pool: Pool, calm_none: Callable[[Mapping[str, Array]], Array], columns: Mapping[str, Array]
) -> float:
    """Return how far the pool moves to a customer base that knows of a peak, in log odds."""
    return KNOWN_PEAK * blend.level_shift(pool.margin(columns), calm_none(columns))


def _measured(members: Mapping[str, Member], dates: Sequence[Frame]) -> dict[str, Member]:
    """Return the members, those of the user with what they use."""
    columns = stack(dates)
    return {
        name: member.measured(columns) if isinstance(member, EstimatorOdds) else member
        for name, member in members.items()
    }


def with_shared_columns(dates: Sequence[Frame], base: CustomerBase) -> list[Frame]:
    """Return the dates with the columns that all of them and the as_of have.

    The columns differ where a customer-base model could not be fitted at a date.
    """
    base_columns = {f"btyd_none_{model.name}" for model in base.models}
    shared = [
        name
        for name in (dates[0].columns if dates else ())
        if all(name in frame.columns for frame in dates)
        and (name in base_columns or not name.startswith("btyd_none_"))
    ]
    return [
        replace(frame, columns={name: frame.columns[name] for name in shared}) for frame in dates
    ]
