"""Counts of a log at an as_of and of its buyers at a date, made by DuckDB as for the features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import duckdb

from stagecast.features.clock import (
    DAY_MICROSECONDS,
    day_number,
    from_microseconds,
    iso,
    microseconds,
)
from stagecast.features.engines import duckdb as engine
from stagecast.features.engines import sql
from stagecast.features.intake.counted import counted
from stagecast.features.shop.events import clock_of, known_events_of
from stagecast.training.checks import is_closed_season
from stagecast.training.fit_bases import PAST_CUSTOMERS

# An evaluation trains one horizon back, with one horizon of history before that.
EVALUATION_HORIZONS = 2
WEEK = 7


@dataclass(frozen=True)
class Known:
    """What was known of a log at an as_of.

    Parameters
    ----------
    history_days, silent_days
        Days from the first and from the last event to the as_of.
    is_closed_season
        Whether it was as silent at the same time of past years.
    customers
        Number of customers.
    types
        Type of event -> number of events.
    has_amounts
        Whether a purchase has an amount.
    shape
        What the queries of the features need to know of the log.
    """

    as_of: datetime
    history_days: float
    silent_days: float
    is_closed_season: bool
    customers: int
    types: Mapping[str, int]
    has_amounts: bool
    shape: sql.Shape

    def before(self, days: int) -> str:
        """Return the date ``days`` before the as_of, ISO 8601, UTC."""
        return iso(self.as_of - timedelta(days=days))

    def refused_dates(self, horizon_days: int, history_needed: int) -> list[str]:
        """Return why the dates of the log do not allow a training.

        The rules are those of :func:`stagecast.training.checks.check_dates`.

        Parameters
        ----------
        horizon_days
            Days that probabilities look ahead.
        history_needed
            Days of history that are needed before the as_of.
        """
        if not self.customers:
            return [f"no event was known before {iso(self.as_of)}"]
        missing = []
        if self.silent_days > horizon_days and not self.is_closed_season:
            missing.append(
                f"the last event stands {self.silent_days:.0f} days before the as_of, "
                f"{horizon_days} are allowed"
            )
        if self.history_days < history_needed:
            missing.append(
                f"history {counted(int(self.history_days), 'day')}, {history_needed:,} are needed"
            )
        return missing

    def longest_evaluated(self, horizon_days: int) -> int | None:
        """Return the longest horizon that can be evaluated; None where this one can, or none can.

        It is in whole weeks from two weeks on.
        """
        if self.history_days >= EVALUATION_HORIZONS * horizon_days:
            return None
        longest = int(self.history_days // EVALUATION_HORIZONS)
        if longest >= 2 * WEEK:
            longest -= longest % WEEK
        return longest if longest >= max(1, self.silent_days) else None


@dataclass(frozen=True)
class Buyers:
    """Counts of the buyers at one date.

    Parameters
    ----------
    buyers, repeat_buyers
        With a purchase before the date, and on two days or more.
    fitted, fitted_repeat_buyers
        Those of both that models are fitted on.
    bought
        With a purchase in the horizon after the date.
    alike
        Whether all had bought last on the same day.
    """

    buyers: int
    repeat_buyers: int
    fitted: int
    fitted_repeat_buyers: int
    bought: int
    alike: bool


def known_at(con: duckdb.DuckDBPyConnection, as_of: datetime) -> Known:
    """Create the table ``daily`` of the features, and return the counts of the log."""
    as_of = clock_of(con).shop(as_of)
    at = microseconds(as_of)
    known = known_events_of(con, at)
    shape = engine.shape_of(con, known, at)
    daily = sql.render([sql.daily_step(engine.clock(at), known, shape)], engine.DIALECT)
    con.execute(f"create or replace temp table daily as {daily}")
    # DuckDB can move a group by to disk, but not a distinct count
    first, customers = con.execute(
        "select min(first_event), count(*) from (select min(first_event) as first_event "
        "from daily group by customer)"
    ).fetchall()[0]
    before = partial(engine.last_event_before, con, known, at)
    last = before()
    silent_days = 0.0 if last is None else (at - last) / DAY_MICROSECONDS
    # no horizon is shorter than a day
    is_closed = silent_days > 1.0 and is_closed_season(
        before, as_of, from_microseconds(first), silent_days
    )
    rows = con.execute(
        f"select event, count(*), count(amount) from {known} group by event order by event"
    ).fetchall()
    return Known(
        as_of=as_of,
        history_days=0.0
        if first is None
        else day_number(as_of) - day_number(from_microseconds(first)),
        silent_days=silent_days,
        is_closed_season=is_closed,
        customers=customers,
        types={event: count for event, count, _ in rows},
        has_amounts=any(event == "purchase" and amounts for event, _, amounts in rows),
        shape=shape,
    )


def buyers_at(con: duckdb.DuckDBPyConnection, log: Known, back: int) -> Buyers:
    """Create the table ``buyers`` of the date ``back`` days before the as_of, and count them."""
    per_buyer = "select customer, count(*) as orders, min(day) as first_day, max(day) as last_day"
    steps = sql.purchase_day_steps(f"known < {-back}", log.shape)
    steps.append(sql.Step("buyers", f"{per_buyer} from purchase_days group by customer"))
    con.execute(f"create or replace temp table buyers as {sql.render(steps, engine.DIALECT)}")
    buyers, repeat, alike = con.execute(
        "select count(*), count(*) filter (where orders > 1), count(distinct last_day) = "
        "1 from buyers"
    ).fetchall()[0]
    # where the date is evaluated as well, the models are fitted on everybody
    sampled = back and log.history_days < EVALUATION_HORIZONS * back
    step = max(1, buyers // PAST_CUSTOMERS) if sampled else 1
    fitted, fitted_repeat, bought = buyers, repeat, 0
    if step > 1:
        fitted, fitted_repeat = con.execute(
            f"""select count(*), count(*) filter (where orders > 1) from
            (select orders, row_number() over (order by customer) - 1 as k from buyers)
            where k % {step} = 0"""
        ).fetchall()[0]
    if back:
        outcomes = sql.render(sql.outcome_steps(back, [back], log.shape), engine.DIALECT)
        bought = con.execute(
            f"select count(*) from buyers where customer in (select customer from ({outcomes}))"
        ).fetchall()[0][0]
    return Buyers(buyers, repeat, fitted, fitted_repeat, bought, bool(alike))
