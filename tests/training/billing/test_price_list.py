"""What payments to come bring of customers who change between the prices of a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from stagecast.features.arrays import Array
from stagecast.features.record import PurchaseDays
from stagecast.training.billing.fit_price_list import fit_price_list
from stagecast.training.billing.payments import Payments
from stagecast.training.billing.price_list import PriceList
from stagecast.training.config import Churn, TrainConfig
from tests.training.made import Row, day, trained

PRICES = np.array([0.0, 12.0, 40.0, 120.0])
LEAVES = np.array([0.08, 0.06, 0.04, 0.02])
UP, DOWN = 0.04, 0.02
PERIOD, AS_OF = 30, 1_000


@dataclass(frozen=True)
class Member:
    """Payments of one customer: days, and positions in PRICES; and whether another will follow."""

    days: list[int]
    plans: list[int]
    stays: bool


def step(plan: int, random: np.random.Generator) -> int:
    """Return the plan of the next payment."""
    u = random.random()
    if u < UP and plan < len(PRICES) - 1:
        return plan + 1
    return plan - 1 if plan and u > 1.0 - DOWN else plan


def members(number: int, seed: int) -> list[Member]:
    """Return monthly payers who change their plan now and then, and leave the more, the less they
    pay."""
    random, made = np.random.default_rng(seed), []
    for _ in range(number):
        at, plan = (
            int(random.integers(0, AS_OF - 1)),
            int(random.choice(4, p=[0.5, 0.3, 0.15, 0.05])),
        )
        days: list[int] = []
        plans: list[int] = []
        stays = True
        while at < AS_OF:
            if days and random.random() < LEAVES[plan]:
                stays = False
                break
            plan = step(plan, random) if days else plan
            days.append(at)
            plans.append(plan)
            at += PERIOD
        made.append(Member(days, plans, stays))
    return made


def changes() -> Array:
    """Return Q of such payers."""
    share = np.zeros((4, 4))
    for plan in range(4):
        up = UP if plan < 3 else 0.0
        down = DOWN if plan else 0.0
        share[plan, plan] = 1.0 - up - down
        if up:
            share[plan, plan + 1] = up
        if down:
            share[plan, plan - 1] = down
    return (1.0 - LEAVES)[:, None] * share


def within(payments: int) -> tuple[Array, Array]:
    """Return the money and the number of the next payments by plan, worked out one by one."""
    chance, money, number = np.eye(4), np.zeros(4), np.zeros(4)
    for _ in range(payments):
        chance = chance @ changes()
        money += chance @ PRICES
        number += chance.sum(axis=1)
    return money, number


def days_of(made: list[Member]) -> PurchaseDays:
    rows = [
        (k, d, PRICES[p]) for k, m in enumerate(made) for d, p in zip(m.days, m.plans, strict=True)
    ]
    customer, at, spend = (np.array(values) for values in zip(*rows, strict=True))
    return PurchaseDays(customer, at, spend, at * 86_400_000_000)


def listed(days: PurchaseDays) -> PriceList | None:
    return fit_price_list(Payments.of_customers(days), float(AS_OF), float(PERIOD))


def test_the_chain_says_what_the_next_payments_bring_and_who_stays() -> None:
    prices = listed(days_of(members(6_000, 4)))
    assert prices is not None
    assert prices.prices == tuple(PRICES)
    np.testing.assert_allclose(prices.changes, changes(), atol=0.012)
    other = np.full(4, np.nan)
    for span, payments in ((30, 1), (360, 12)):
        money, number = within(payments)
        expected = prices.per_order(PRICES, other, span)
        np.testing.assert_allclose(expected, money / number, rtol=0.08, atol=0.05)
    after = within(12)[1] / within(1)[1] - 1.0
    share = np.array(prices.shares)
    of_all = share @ (within(12)[1] - within(1)[1]) / (share @ within(1)[1])
    np.testing.assert_allclose(prices.stays(PRICES, 30, 360), after / of_all, rtol=0.06)
    # half of a payment more is half way to the next
    low, middle, high = (prices.per_order(PRICES, other, span) for span in (60, 75, 90))
    assert ((np.minimum(low, high) <= middle) & (middle <= np.maximum(low, high))).all()


def test_nobody_pays_more_than_the_dearest_price_and_others_keep_what_was_expected() -> None:
    prices = listed(days_of(members(600, 5)))
    assert prices is not None
    assert (prices.per_order(PRICES, PRICES, 3_650) <= PRICES.max()).all()
    assert prices.per_order(np.zeros(1), np.full(1, 7.0), 365)[0] > 0  # who paid nothing may pay
    last = np.array([12.05, 13.0, np.nan, -1.0])
    np.testing.assert_allclose(prices.per_order(last, np.full(4, 7.0), 30)[1:], 7.0)
    assert prices.per_order(last, np.full(4, 7.0), 30)[0] > 7.0
    assert prices.stays(last, 30, 365)[1:].tolist() == [1.0, 1.0, 1.0]
    low, high = prices.ends(last, 30)
    assert np.isnan(low[1:]).all()
    assert (low[0], high[0]) == (12.0, 12.0)  # next month nine in ten pay the same
    low, high = prices.ends(PRICES, 365)
    assert (low <= PRICES).all()
    assert (high >= PRICES).all()
    assert high[1] == 40.0
    assert PriceList.from_json(prices.to_json()) == prices
    with pytest.raises(ValueError, match="changes of a price list"):
        PriceList.from_json({**prices.to_json(), "prices": [1.0]})


def paid(price: Callable[[int, float], float]) -> PurchaseDays:
    """Return payments of 200 customers each month; the price depends on the customer and day."""
    rows = [(k, k % 30 + 30 * n) for k in range(200) for n in range(33)]
    customer, at = (np.array(values) for values in zip(*rows, strict=True))
    spend = np.array([price(int(k), float(d)) for k, d in rows])
    return PurchaseDays(customer, at, spend, at * 86_400_000_000)


def test_a_price_that_has_just_risen_is_what_all_will_pay() -> None:
    # of the month before the as_of half are billed at the new price
    prices = listed(paid(lambda k, d: (10.0, 30.0)[k % 2] * (1.2 if d >= 975 else 1.0)))
    assert prices is not None
    last = np.array([10.0, 12.0, 30.0, 36.0])
    np.testing.assert_allclose(
        prices.per_order(last, last, 30), [12.0, 12.0, 36.0, 36.0], rtol=1e-6
    )
    np.testing.assert_allclose(
        prices.per_order(last, last, 365), [12.0, 12.0, 36.0, 36.0], rtol=1e-6
    )


def test_prices_that_nobody_changes_and_amounts_that_vary_are_no_list() -> None:
    random = np.random.default_rng(2)
    assert listed(paid(lambda k, _: (10.0, 30.0)[k % 2])) is None
    assert listed(paid(lambda *_: round(random.uniform(5.0, 50.0), 2))) is None
    # a tenth of the orders hold something more, and the next does not
    assert listed(paid(lambda *_: 10.0 + 5.0 * (random.random() < 0.1))) is None
    assert listed(paid(lambda *_: 10.0)) is None
    nobody = np.zeros(0, dtype=np.int64)
    assert listed(PurchaseDays(nobody, nobody, np.zeros(0), nobody)) is None


def kept(leaves: dict[float, float], number: int) -> PurchaseDays:
    """Return monthly payments of customers who keep their price, and leave by it."""
    random = np.random.default_rng(3)
    rows = []
    for k in range(number):
        price = list(leaves)[k % len(leaves)]
        at = int(random.integers(0, AS_OF - 1))
        while at < AS_OF:
            rows.append((k, at, price))
            at += PERIOD if random.random() > leaves[price] else 10 * AS_OF
    customer, at_day, spend = (np.array(values) for values in zip(*rows, strict=True))
    return PurchaseDays(customer, at_day, spend, at_day * 86_400_000_000)


def test_customers_of_a_price_that_nobody_changes_may_stay_longer() -> None:
    leaves = {5.0: 0.12, 15.0: 0.06, 45.0: 0.02}
    prices = listed(kept(leaves, 600))
    assert prices is not None
    np.testing.assert_allclose(np.diag(prices.changes), [0.88, 0.94, 0.98], atol=0.02)
    last = np.array(list(leaves))
    np.testing.assert_allclose(prices.per_order(last, last, 365), last, rtol=0.1)
    stay = 1.0 - np.array(list(leaves.values()))
    after = (1.0 - stay**11) * stay / (1.0 - stay)  # payments 2 to 12 for each first one
    stays = prices.stays(last, 30, 360)
    np.testing.assert_allclose(stays / stays[2], after / after[2], rtol=0.1)
    # and where they do not, the models of purchases say all
    assert listed(kept(dict.fromkeys(leaves, 0.06), 600)) is None


@pytest.mark.slow
@pytest.mark.parametrize("churn", ["inactivity", "cancellation"])
def test_members_are_worth_what_their_plan_brings(tmp_path: Path, churn: Churn) -> None:
    rows: list[Row] = []
    made = members(700, 11)
    for k, member in enumerate(made):
        name = f"c{k:03d}"
        for at, plan in zip(member.days, member.plans, strict=True):
            rows.append((name, day(at), "purchase", PRICES[plan]))
        if churn == "cancellation":
            rows.append((name, day(member.days[0] - 0.01), "signup", None))
            if not member.stays:
                rows.append((name, day(member.days[-1] + PERIOD - 0.5), "cancel", None))
    rows = [row for row in rows if row[1] < day(AS_OF)]
    config = TrainConfig(horizon_days=PERIOD, max_dates=6, churn=churn)
    done = trained(rows, tmp_path / "m", day(AS_OF), config)
    scores = done.scores().to_pandas().set_index("customer_id")
    of_row = [made[int(name[1:])] for name in scores.index]
    scores["plan"] = [member.plans[-1] for member in of_row]
    here = scores[[member.stays for member in of_row]]
    assert len(here) > 250
    # members of the free plan order, too, each month for nothing
    free = here[here["plan"] == 0]
    assert free["expected_orders"].mean() == pytest.approx(1.0 - LEAVES[0], abs=0.06)
    assert (free[["p_stage_at_risk", "p_stage_sleeping", "p_stage_lost"]].sum(axis=1) < 0.3).all()
    next_month, year = within(1)[0], within(12)[0] * 1.1**-0.5
    # where cancellations are recorded, free members are trials
    for plan in (0, 1, 2, 3) if churn == "inactivity" else (1, 2, 3):
        of_plan = here[here["plan"] == plan]
        per_order = of_plan["expected_spend"] / of_plan["expected_orders"]
        assert per_order.max() <= PRICES.max() + 1e-9
        assert of_plan["expected_spend"].mean() == pytest.approx(next_month[plan], rel=0.1, abs=0.3)
        assert of_plan["clv"].mean() == pytest.approx(year[plan], rel=0.25)
        # the truth of a month is one payment, nearly always at the price of today
        if plan:
            usual = of_plan["expected_spend_high"].median()
            assert PRICES[plan] <= usual < 1.2 * PRICES[plan]
