"""A regularity of each customer, against customers who are drawn here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from scipy.special import expit

from stagecast.features.arrays import Array
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.gaps import LogGaps
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.fit_customer_base import fit_customer_base
from stagecast.training.learners.fit_regularities import (
    REGULARITIES,
    RHYTHMS_OF_GROUP,
    with_regularities,
)
from stagecast.training.learners.regularities import GAP_LOGS, RegularityBase
from stagecast.training.learners.stored_base import base_from_json

SPAN, AHEAD = 1_000.0, 90.0


@dataclass(frozen=True)
class Drawn:
    """Customers up to a day, and what they did in the days after it.

    Parameters
    ----------
    features
        Features of each, as a training knows them.
    gaps
        Sums over the gaps of each.
    phases
        Phases of a gap of each.
    bought, alive
        Whether each ordered in the days ahead, and was a customer at the day.
    """

    features: dict[str, Array]
    gaps: LogGaps
    phases: Array
    bought: Array
    alive: Array


@cache
def drawn(
    phases: tuple[float, ...],
    *,
    customers: int = 500,
    at_order: bool = False,
    gap_days: float = 30.0,
) -> Drawn:
    """Draw customers of gamma gaps around some days, each of one of some numbers of phases.

    One in four leaves in a year: at any time, or at an order.
    """
    random = np.random.default_rng(len(phases) + 10 * int(phases[0]) + at_order)
    k = random.choice(phases, customers)
    customer, day, bought, alive = [], [], [], []
    for i in range(customers):
        gap = float(np.clip(gap_days * random.lognormal(0.0, 0.4), 2.0, 4.0 * gap_days))
        at = float(random.uniform(0.0, 0.6 * SPAN))
        end = at + float(random.exponential(4.0 * 365.0))
        leaves = gap / (4.0 * 365.0)
        times = [at]
        while at < SPAN + AHEAD:
            at += float(random.gamma(k[i], gap / k[i]))
            if (random.random() < leaves) if at_order else (at > end):
                break
            times.append(at)
        days = np.unique(np.floor(times)).astype(np.int64)
        past = days[days < SPAN]
        customer.append(np.full(len(past), i))
        day.append(past)
        bought.append(((days >= SPAN) & (days < SPAN + AHEAD)).any())
        alive.append(times[-1] + gap > SPAN if at_order else end > SPAN)
    first, last = (np.array([d[n] for d in day], dtype=float) for n in (0, -1))
    gaps = LogGaps.of(np.concatenate(customer), np.concatenate(day), customers)
    features = {
        "frequency": np.array([len(d) - 1.0 for d in day]),
        "t_x_days": last - first,
        "T_days": SPAN - first,
        "monetary": np.full(customers, np.nan),
        GAP_LOGS: gaps.log,
    }
    return Drawn(features, gaps, k, np.array(bought), np.array(alive, dtype=float))


def fitted(of: Drawn) -> tuple[CustomerBase, CustomerBase]:
    """Return the customer base with one regularity of all, and the one with that of each."""
    base = fit_customer_base(of.features, None, 5_000, of.gaps)
    return base, with_regularities(base, of.features, of.gaps)


@cache
def mixed() -> tuple[Drawn, CustomerBase, RegularityBase]:
    of = drawn((1.0, 4.0, 16.0))
    base, own = fitted(of)
    assert isinstance(own, RegularityBase)
    return of, base, own


def losses(base: CustomerBase, of: Drawn) -> Array:
    p = expit(base.columns(of.features, int(AHEAD))["btyd_none"])
    return np.asarray(-np.log(np.where(of.bought, 1.0 - p, p)))


def test_customers_of_several_regularities_are_told_apart() -> None:
    of, base, own = mixed()
    gain = losses(base, of) - losses(own, of)
    assert gain.mean() > 0.1 * losses(base, of).mean()
    assert gain.mean() > 2.0 * gain.std() / np.sqrt(len(gain))
    # a third each of 1, 4 and 16 phases; the neighbours of each share its customers
    shares = dict(zip(REGULARITIES, own.shares, strict=True))
    assert shares[1] + shares[2] / 2 == pytest.approx(1 / 3, abs=0.09)
    assert shares[8] / 2 + shares[16] == pytest.approx(1 / 3, abs=0.09)
    group = own.group(of.features)
    many = of.features["frequency"] >= 10
    assert np.corrcoef(group[many], np.log(of.phases[many]))[0, 1] > 0.85


@pytest.mark.parametrize("at_order", [False, True])
def test_as_many_are_customers_as_said(at_order: bool) -> None:
    of = drawn((1.0, 4.0, 16.0), customers=1_000, at_order=at_order)
    base, own = fitted(of)
    assert isinstance(own, RegularityBase)
    likeliest = base.models[int(np.argmax(base.weights))]
    # leaving is of the kind that explains the log best
    assert {model.name for model in own.rhythms} == {likeliest.name}
    columns = own.columns(of.features, int(AHEAD))
    assert columns["btyd_alive"].sum() == pytest.approx(of.alive.sum(), rel=0.03)
    assert (1.0 - expit(columns["btyd_none"])).sum() == pytest.approx(of.bought.sum(), rel=0.03)


def test_a_silence_is_the_end_of_a_regular_customer_and_nothing_for_a_random_one() -> None:
    _, _, own = mixed()
    # eleven gaps of 30 days; those of the other are of 3 and 80 days in turn
    even, uneven = 11 * np.log(30.0), 6 * np.log(3.0) + 5 * np.log(62.4)
    features = {
        "frequency": np.full(6, 11.0),
        "t_x_days": np.full(6, 330.0),
        "T_days": 330.0 + np.array([20.0, 20.0, 90.0, 90.0, 200.0, 200.0]),
        GAP_LOGS: np.array([even, uneven] * 3),
    }
    regular, random = own.columns(features, int(AHEAD))["btyd_alive"].reshape(3, 2).T
    assert regular[0] > 0.95
    assert random[0] > 0.95
    assert regular[1] < 0.4 < 0.7 < random[1]
    assert regular[2] < random[2]


@pytest.mark.parametrize("phases", [(1.0,), (4.0,), (1.0, 1.0, 1.0, 2.0), (4.0, 16.0)])
def test_one_regularity_of_all_is_not_split(phases: tuple[float, ...]) -> None:
    base, own = fitted(drawn(phases))
    assert own is base


def test_who_pays_on_dates_has_no_regularity_of_this_kind() -> None:
    of, base, _ = mixed()
    monthly = Model("mbg_nbd", (900.0, 900.0 * 30 / 96, 1.0, 9.0), 0.0, 100, 96)
    payers = CustomerBase((monthly, base.models[-1]), None, (0.95, 0.05))
    assert with_regularities(payers, of.features, of.gaps) is payers


def test_a_stored_base_says_the_same() -> None:
    of, _, own = mixed()
    stored = json.loads(json.dumps(own.to_json()))
    again = base_from_json(stored)
    assert again == own
    for name, values in own.columns(of.features, 30).items():
        np.testing.assert_array_equal(again.columns(of.features, 30)[name], values)
    stored["shares"] = stored["shares"][1:]
    with pytest.raises(ValueError, match="differ in number"):
        base_from_json(stored)


def test_groups_of_long_histories_are_asked_of_equally_many_rhythms() -> None:
    """Of many gaps the chance of a rhythm that does not fit underflows."""
    of = drawn((1.0, 60.0), gap_days=4.0, customers=200)
    _, own = fitted(of)
    assert isinstance(own, RegularityBase)
    assert base_from_json(json.loads(json.dumps(own.to_json()))) == own
    assert {len(base.models) for base in own._bases} == {RHYTHMS_OF_GROUP + len(own.models)}
    assert own.columns(of.features, 30)["btyd_alive"].shape == (200,)
    own.p_alive_by_model(of.features)


def test_a_customer_is_told_alone_as_among_others() -> None:
    of, _, own = mixed()
    days = [90, 365]
    among = [
        *own.columns(of.features, 90).values(),
        *own.discounted_orders_until(days, of.features, 0.1),
        own.kept_orders(365, of.features, 0.1),
        own.regained_orders(365, of.features, 0.1),
        own.rest_if_silent(90, 365, of.features, 0.1),
        own.none_within(7.0, of.features),
    ]
    for row in range(0, len(of.bought), 41):
        one = {name: values[row : row + 1] for name, values in of.features.items()}
        alone = [
            *own.columns(one, 90).values(),
            *own.discounted_orders_until(days, one, 0.1),
            own.kept_orders(365, one, 0.1),
            own.regained_orders(365, one, 0.1),
            own.rest_if_silent(90, 365, one, 0.1),
            own.none_within(7.0, one),
        ]
        for values, value in zip(among, alone, strict=True):
            np.testing.assert_array_equal(values[row], value[0])


def test_without_gaps_the_models_of_all_are_asked() -> None:
    of, _, own = mixed()
    history = {name: of.features[name] for name in ("frequency", "t_x_days", "T_days")}
    for name, values in own.of_all.columns(history, 90).items():
        np.testing.assert_array_equal(own.columns(history, 90)[name], values)
