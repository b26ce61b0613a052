"""What a plan would be: the list with its arms, what it brings and costs, what it can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.features.errors import UsageError
from stagecast.features.stages.plays import Play
from stagecast.serving.targeting.plan import suppression
from stagecast.serving.targeting.plan.candidates import Candidates
from stagecast.serving.targeting.plan.curve import (
    compare,
    expected_maximum_profit,
    gain_curve,
    point,
)
from stagecast.serving.targeting.plan.economics import Economics, economics
from stagecast.serving.targeting.plan.forecast import Forecast
from stagecast.serving.targeting.plan.notes import notes_of
from stagecast.serving.targeting.plan.selection import select
from stagecast.serving.targeting.plan.shown import NO_PAST, Past, can_show
from stagecast.serving.targeting.plan.suppression import Reach
from stagecast.serving.targeting.plan.terms import Terms
from stagecast.serving.targeting.trial.draw import draw_holdout, draw_in_order, strata_of

Rows = NDArray[np.int64]

DRAWS_MAX = 20
"""Most draws until the contacted meet the limits."""
UNSPENT_MAX = 0.02
"""Share of a budget that may be left without another draw, while it would pay more contacts."""


@dataclass(frozen=True)
class Members:
    """The customers of a plan, those with the largest expected gain first.

    Parameters
    ----------
    customers
        Their scores, k rows.
    held_out
        Who is left alone, shape (k,).
    gain, cost
        Expected of a contact, in money, shape (k,).
    contact_cost, offer
        What a contact costs for certain, and what the offer costs if the customer orders, in money,
        shape (k,).
    expected_purchase, expected_spend
        P(an order in the window) and expected spend in it, in money, without a contact, shape (k,);
        the spend is None where the log has no amounts.
    strata
        Play, stage and band of each customer as one text, k of them.
    """

    customers: Candidates
    held_out: NDArray[np.bool_]
    gain: Array
    cost: Array
    contact_cost: Array
    offer: Array
    expected_purchase: Array
    expected_spend: Array | None
    strata: Sequence[str]


@dataclass(frozen=True)
class Proposal:
    """What a plan would be: what is expected of it, and its list."""

    forecast: Forecast
    members: Members


def propose(
    customers: Candidates,
    plays: Sequence[Play],
    terms: Terms,
    reach: Reach,
    *,
    horizon_days: int,
    contracts: bool = False,
    standing_key: str = "",
    past: Past = NO_PAST,
) -> Proposal:
    """Return what a plan would be.

    Parameters
    ----------
    customers
        Whom the plan may be about.
    plays
        Of the scheme.
    terms
        What is asked for.
    reach
        Who may be contacted.
    horizon_days
        Horizon of the scores.
    contracts
        Whether to leave is to cancel, and not to order nothing.
    standing_key
        Key of the standing hold-out, where the terms ask for one.
    past
        What is known of how widely spend varies.

    Raises
    ------
    UsageError
        A limit, a cost or the window cannot be used; the budget does not pay one contact; the list
        is too short for its hold-out.
    """
    window = terms.check_window(horizon_days, plays)
    money = economics(customers, plays, terms, horizon_days=horizon_days, contracts=contracts)
    reasons = suppression.left_out(customers, money, plays, terms, reach)
    is_open = reasons < 0
    # the curve shows where contacts stop to pay, and so also who is left out for that alone
    reachable = is_open | (reasons == suppression.TOO_SMALL)
    rows = np.flatnonzero(is_open)
    _check_budget(terms, money.cost[rows])
    drawn = _list(customers, money, rows, terms, standing_key)
    chosen, held_out = drawn.rows, drawn.held_out
    reasons[np.setdiff1d(rows, chosen, assume_unique=True)] = suppression.BEYOND_LIMITS
    contacted = chosen[~held_out]
    total = point(customers, money, contacted)
    members = _members(money, drawn, customers.has_money, window, horizon_days)
    on_curve = np.flatnonzero(reachable)
    # to copy the texts of a million customers takes a second
    everybody = len(on_curve) == len(customers)
    reached = customers if everybody else customers.take(on_curve)
    of_reached = money if everybody else _take(money, on_curve)
    profit = expected_maximum_profit(reached, of_reached) if len(on_curve) else None
    shown = can_show(
        members.customers.customer_id,
        members.held_out,
        members.expected_purchase,
        members.expected_spend,
        past,
        window / horizon_days,
    )
    forecast = Forecast(
        churn="cancellation" if contracts else "inactivity",
        window_days=window,
        considered=len(customers),
        left_out=suppression.counts(reasons),
        contacts=total,
        held_out=int(held_out.sum()),
        holdout_cost=float(money.gain[chosen[held_out]].sum()),
        bound=drawn.bound,
        curve=gain_curve(reached, of_reached),
        by_play={
            play: point(customers, money, contacted[customers.play[contacted] == id_])
            for play, id_ in _plays_of(customers, contacted)
        },
        rankings=compare(reached, of_reached, money.gain[chosen], money.cost[chosen], held_out),
        empc=None if profit is None else profit[0],
        empc_share=None if profit is None else profit[1],
        can_show_buyers=shown[0],
        can_show_money=shown[1],
        notes=notes_of(terms, plays, customers, money, reachable, contacted, shown),
        worth=terms.worth,
    )
    return Proposal(forecast, members)


def _check_budget(terms: Terms, cost: Array) -> None:
    if terms.budget is not None and len(cost) and terms.budget < cost.min():
        raise UsageError(
            f"the budget of {terms.budget:,.2f} does not pay one contact: the cheapest is expected "
            f"to cost {cost.min():,.2f}; raise the budget, or lower the costs"
        )


@dataclass(frozen=True)
class _Drawn:
    """A list with its hold-out: positions of the customers, their scores, who is held out, their
    strata, shape (k,) each, and the bound of the gain.
    """

    rows: Rows
    customers: Candidates
    held_out: NDArray[np.bool_]
    strata: Strata
    bound: float


def _list(
    customers: Candidates, money: Economics, rows: Rows, terms: Terms, standing_key: str
) -> _Drawn:
    """Return the list with its hold-out.

    Who is held out costs nothing and counts for no limit. Therefore the list is longer than the
    contacts by the share of the hold-out, and is drawn again, a little shorter or longer, until the
    contacted are within the limits and no draw is nearer to them.
    """
    contacted_share = 1 - terms.holdout
    slots = None if terms.contacts is None else round(terms.contacts / contacted_share)
    budget = None if terms.budget is None else terms.budget / contacted_share
    best: _Drawn | None = None
    best_gain = -1.0
    tried: set[tuple[int | None, float | None]] = set()
    for _ in range(DRAWS_MAX):
        selection = select(money.gain[rows], money.cost[rows], budget=budget, contacts=slots)
        chosen = rows[selection.rows]
        picked = customers.take(chosen)
        strata = strata_codes(picked)
        held_out = _draw(chosen, picked, strata, terms, standing_key)
        number, spent = int((~held_out).sum()), float(money.cost[chosen[~held_out]].sum())
        too_many = terms.contacts is not None and number > terms.contacts
        too_dear = terms.budget is not None and spent > terms.budget * (1 + 1e-9)
        tried.add((slots, budget))
        if not too_many and not too_dear:
            if (gain := float(money.gain[chosen[~held_out]].sum())) > best_gain:
                best = _Drawn(chosen, picked, held_out, strata, selection.bound)
                best_gain = gain
            is_full = slots is None or number == terms.contacts
            if is_full and (budget is None or _is_spent(terms.budget, spent)):
                break
            if len(chosen) == len(rows) or (slots is not None and number == terms.contacts):
                break
        has_slots = slots is not None and (too_many or len(chosen) == slots)
        if slots is not None and terms.contacts is not None and has_slots and not too_dear:
            slots += terms.contacts - number
        elif budget is not None and terms.budget is not None and spent:
            budget *= 0.999 * terms.budget / spent
        else:
            break
        if (slots, budget) in tried:
            break
    if best is None:
        raise UsageError(
            "no draw of the hold-out keeps the contacts within the limits; raise the budget or the "
            "number of contacts a little, or take another seed"
        )
    return best


def _is_spent(budget: float | None, spent: float) -> bool:
    return budget is None or spent >= (1 - UNSPENT_MAX) * budget


def _draw(
    rows: Rows, picked: Candidates, strata: Strata, terms: Terms, standing_key: str
) -> NDArray[np.bool_]:
    if not terms.holdout or not len(rows):
        return np.zeros(len(rows), dtype=np.bool_)
    # candidates are in the order of their ids, which the draw starts from: to sort numbers is
    # cheaper than to sort texts
    order = np.argsort(rows)
    held_out = np.zeros(len(rows), dtype=np.bool_)
    if terms.standing:
        ids, texts = picked.customer_id[order].tolist(), strata.labels
        held_out[order] = draw_holdout(ids, texts, terms.holdout, terms.seed, standing_key)
    else:
        held_out[order] = draw_in_order(strata.code[order], terms.holdout, terms.seed)
    return held_out


@dataclass(frozen=True)
class Strata:
    """Play, stage and band of customers as one text; where a customer has none, it is ``none``.

    Parameters
    ----------
    texts
        The texts, in their order.
    code
        Position of that of each customer, shape (n,).
    """

    texts: Sequence[str]
    code: Rows

    @property
    def labels(self) -> list[str]:
        """The text of each customer; equal texts are one object, which is cheap to store."""
        known = np.array(self.texts, dtype=object)
        return list(known[self.code])


def strata_codes(customers: Candidates) -> Strata:
    """Return play, stage and band of each customer."""
    cells, first = np.unique(customers.cell, return_index=True)
    columns = (customers.play[first], customers.stage[first], customers.churn_band[first])
    of_cell = strata_of(*([part or "none" for part in column] for column in columns))
    texts = sorted(set(of_cell))
    code = np.zeros(int(cells.max(initial=-1)) + 1, dtype=np.int64)
    code[cells] = [texts.index(text) for text in of_cell]
    return Strata(texts, code[customers.cell])


def _members(
    money: Economics,
    drawn: _Drawn,
    has_money: bool,
    window: int,
    horizon_days: int,
) -> Members:
    chosen, picked = drawn.rows, drawn.customers
    spend = None
    if has_money:
        spend = np.maximum(np.nan_to_num(picked.expected_spend), 0) * window / horizon_days
    return Members(
        picked,
        drawn.held_out,
        money.gain[chosen],
        money.cost[chosen],
        money.contact_cost[chosen],
        money.offer[chosen],
        money.p_order[chosen],
        spend,
        drawn.strata.labels,
    )


def _plays_of(customers: Candidates, rows: Rows) -> list[tuple[str, str | None]]:
    """Return the plays of some customers, as they are called and as the scores have them."""
    plays = set(customers.play[rows])
    return sorted(((play or "none", play) for play in plays), key=lambda pair: pair[0])


def _take(money: Economics, rows: Rows) -> Economics:
    return Economics(**{name: values[rows] for name, values in vars(money).items()})
