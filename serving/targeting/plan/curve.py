"""What a plan brings against how many are contacted, and other rankings beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array
from stagecast.serving.targeting.plan.candidates import Candidates
from stagecast.serving.targeting.plan.economics import Economics

POINTS = 60
EMPC_ALPHA, EMPC_BETA = 6.0, 14.0
"""Beta distribution of the chance that an offer is accepted, as published with EMPC."""


@dataclass(frozen=True)
class Point:
    """What contacting the first so many customers is expected to bring, in money.

    Parameters
    ----------
    contacts
        Number of customers.
    gross, cost, gain
        What is saved and brought back, what it costs, and the difference.
    leavers
        Expected number of them who would not order without a contact.
    at_stake
        Value at risk and value gone of the customers, most of which is gone for good.
    stayers, paid_to_stayers
        Expected number of them who would order anyway, and offers paid to these.
    value_at_risk
        What is expected to be lost with the active among them.
    may_return
        What may return of the lapsed among them: value gone times the chance to return.
    value_gone
        Value gone of all of them.
    won_back
        Part of ``gross`` that is brought back, of the value gone; the rest is saved.
    former, former_leavers
        Number of the lapsed among them, and how many of these are expected not to come back
        without a contact: part of ``leavers``.
    """

    contacts: int
    gross: float
    cost: float
    gain: float
    leavers: float
    at_stake: float
    stayers: float
    paid_to_stayers: float
    value_at_risk: float
    may_return: float
    value_gone: float
    won_back: float
    former: int
    former_leavers: float


def point(customers: Candidates, money: Economics, rows: NDArray[np.int64]) -> Point:
    """Return what contacting some customers is expected to bring."""
    columns = _columns(customers, money)
    return _point(len(rows), {name: float(values[rows].sum()) for name, values in columns.items()})


def _point(contacts: int, sums: Mapping[str, float]) -> Point:
    rest = {name: total for name, total in sums.items() if name != "former"}
    return Point(contacts=contacts, former=round(sums["former"]), **rest)


def _columns(customers: Candidates, money: Economics) -> dict[str, Array]:
    """Return what each customer adds to the parts of a point, shape (n,) each."""
    gone, leaves = np.nan_to_num(customers.value_gone), 1 - money.p_order
    return {
        "gross": money.gross,
        "cost": money.cost,
        "gain": money.gain,
        "leavers": leaves,
        "at_stake": np.nan_to_num(customers.value_at_risk) + gone,
        "stayers": money.p_order,
        "paid_to_stayers": money.paid_anyway,
        "value_at_risk": customers.at_risk,
        "may_return": customers.may_return,
        "value_gone": gone,
        "won_back": money.won_back,
        "former": customers.lapsed.astype(np.float64),
        "former_leavers": np.where(customers.lapsed, leaves, 0.0),
    }


@dataclass(frozen=True)
class Curve:
    """Expected gain of contacting the best so many customers.

    Parameters
    ----------
    points
        From nobody to everybody, at most :data:`POINTS` and the best cut.
    best
        Where the gain is largest.
    """

    points: tuple[Point, ...]
    best: Point


def gain_curve(customers: Candidates, money: Economics) -> Curve:
    """Return the gain against the number of contacts, the customers with the largest gain first."""
    order = np.argsort(-money.gain, kind="stable")
    best = int((money.gain > 0).sum())
    cuts = np.unique(np.r_[np.round(np.linspace(0, len(order), POINTS)), best]).astype(int)
    sums = {
        name: np.r_[0.0, np.cumsum(values[order])]
        for name, values in _columns(customers, money).items()
    }
    points = {
        int(cut): _point(int(cut), {name: float(total[cut]) for name, total in sums.items()})
        for cut in cuts
    }
    return Curve(tuple(points.values()), points[best])


def compare(
    customers: Candidates,
    money: Economics,
    gain: Array,
    cost: Array,
    held_out: NDArray[np.bool_],
) -> Mapping[str, float]:
    """Return the expected gain of a plan and of simpler rankings, in money.

    Each other ranking makes a list of at most as many customers that costs at most as much, and
    the same share of it is contacted.

    Parameters
    ----------
    customers, money
        Whom the plan may contact, and what that brings.
    gain, cost
        Of the list of the plan, hold-out included, in money, shape (k,).
    held_out
        Who of it is left alone, shape (k,).

    Returns
    -------
    ``plan`` (what those bring whom it contacts), ``risk`` (the likeliest to leave first), ``value``
    (the largest clv first) and ``random``.
    """
    size, budget = len(gain), float(cost.sum()) * (1 + 1e-9)
    contacted = float((~held_out).mean()) if size else 0.0

    def by(ranking: Array) -> float:
        order = np.argsort(-np.nan_to_num(ranking, nan=-np.inf), kind="stable")[:size]
        affordable = np.cumsum(money.cost[order]) <= budget
        return contacted * float(money.gain[order[affordable]].sum())

    mean, price = (
        float(values.mean()) if len(values) else 0.0 for values in (money.gain, money.cost)
    )
    number = size if price * size <= budget else budget / price
    return {
        "plan": float(gain[~held_out].sum()),
        "risk": by(money.p_leave),
        "value": by(customers.clv),
        "random": contacted * number * mean,
    }


def expected_maximum_profit(customers: Candidates, money: Economics) -> tuple[float, float] | None:
    """Return the expected maximum profit of a campaign by risk (EMPC) and the share to contact.

    The profit is per customer, in money, and the share of all customers, each a mean over the
    chance that an offer is accepted, Beta(6, 14). A customer is worth the mean clv, an offer and a
    contact cost what the plan says on average. Leavers are counted by their probabilities, since
    nobody has left yet. None where no customer has a clv.

    Source: Verbraken, Verbeke and Baesens (2013), "A novel profit maximizing metric for measuring
    classification performance of customer churn prediction models", equation 11.
    """
    clv = customers.clv[np.isfinite(customers.clv)]
    if not len(clv) or clv.mean() <= 0:
        return None
    worth = float(clv.mean())
    offer, contact = float(money.offer.mean()), float(money.contact_cost.mean())
    order = np.argsort(-money.p_leave, kind="stable")
    cuts = np.unique(np.round(np.linspace(0, len(order), 1 + min(len(order), 2_000)))).astype(int)
    leavers = np.r_[0.0, np.cumsum(money.p_leave[order])][cuts] / len(order)
    stayers = cuts / len(order) - leavers
    # the distribution as 200 equally likely values, each the middle of its part
    accepted = _beta_quantiles((np.arange(200) + 0.5) / 200)[:, None]
    profit = leavers * (accepted * (worth - offer) - contact) - stayers * (offer + contact)
    best = profit.argmax(axis=1)
    values = profit[np.arange(len(best)), best]
    return float(values.mean()), float((cuts[best] / len(order)).mean())


def _beta_quantiles(shares: Array) -> Array:
    from scipy.special import betaincinv  # SciPy is slow to import

    return np.asarray(betaincinv(EMPC_ALPHA, EMPC_BETA, shares))
