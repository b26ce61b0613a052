"""One model of spend for all past dates: levels tell prices, and not how far each model is off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stagecast.features.arrays import Array
from stagecast.features.record import PurchaseDays
from stagecast.training.config import TrainConfig
from stagecast.training.learners.btyd import Model
from stagecast.training.learners.btyd.fit import fit_gamma_gamma
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.value.fitting import Teaching, fit_value
from stagecast.training.value.model import ValueModel
from stagecast.training.value.spans import Purchases
from tests.training.made import START, a_frame

NOTHING = np.zeros(0, dtype=np.int64)
NO_PURCHASES = Purchases(PurchaseDays(NOTHING, NOTHING, np.zeros(0), NOTHING), 0.0)
MODEL = Model("pareto_nbd", (0.6, 1_500.0, 1.0, 4_000.0), 0.0, 1)
CUSTOMERS, BICYCLE, ACCESSORY = 900, 2_400.0, 96.0
# Of the orders to come, so many are bicycles; of the repeat orders so far fewer, since the first
# bicycle of each customer brought an accessory, too.
BICYCLES = 0.74
PRICE = BICYCLES * BICYCLE + (1 - BICYCLES) * ACCESSORY
SEASONS = (365, 730, 1095)
# Bicycles and accessories are no Gamma-Gamma prices: at young dates its mean can be far off.
OFF = 2.0


def orders_of(random: np.random.Generator, counts: Array, share: float) -> Array:
    """Return the mean money of so many orders, a share of which are bicycles, shape (rows,)."""
    bicycles = random.binomial(counts.astype(np.int64), share)
    money = bicycles * BICYCLE + (counts - bicycles) * ACCESSORY
    noise = random.lognormal(0.0, 0.4, len(counts))
    return np.asarray(money / np.maximum(counts, 1) * noise / np.exp(0.08))


def history(random: np.random.Generator, years: float) -> dict[str, Array]:
    """Return customers of a shop that began so many years ago, by the rate of each."""
    frequency = random.poisson(random.gamma(0.6, 0.5 * years, CUSTOMERS)).astype(np.float64)
    monetary = orders_of(random, frequency, 0.2 + 0.1 * years)
    first = orders_of(random, np.ones(CUSTOMERS), 1.0)
    return {
        "orders": frequency + 1.0,
        "frequency": frequency,
        "t_x_days": 300.0 * np.minimum(frequency, years),
        "T_days": np.full(CUSTOMERS, 365.0 * years),
        "monetary": monetary,
        "spend_first": first,
        "spend_mean": (first + frequency * monetary) / (frequency + 1.0),
        "btyd_none": np.full(CUSTOMERS, 2.0),
        "btyd_orders": np.full(CUSTOMERS, 0.13),
    }


def base_of(columns: dict[str, Array], off: float) -> CustomerBase:
    """Return the customer base of a date, whose model of spend expects ``off`` times as much."""
    spend = fit_gamma_gamma(columns["frequency"], columns["monetary"])
    return CustomerBase((MODEL,), replace(spend, v=spend.v * off))


def fitted(seed: int) -> tuple[ValueModel, CustomerBase, dict[str, Array]]:
    """Return the value model, the customer base and the customers of the as_of."""
    random = np.random.default_rng(seed)
    now = history(random, 4.0)
    dates, bases = [], {0: base_of(now, 1.0)}
    for back in (90, 150, 210, *SEASONS):
        columns = history(random, 4.0 - back / 365)
        bases[back] = base_of(columns, OFF if back in SEASONS else 1.0)
        bought = random.random(CUSTOMERS) < 0.3
        orders = np.where(bought, 1.0, 0.0)
        spend = np.where(bought, orders_of(random, orders, BICYCLES), 0.0)
        dates.append(a_frame(columns, orders=orders.tolist(), spend=spend.tolist(), back=back))
    seasons = [frame for frame in dates if frame.back in SEASONS]
    teaching = Teaching(dates, bases, NO_PURCHASES, True, 400.0, now, START, seasons)
    return fit_value(teaching, TrainConfig(value_horizon_days=90)), bases[0], now


def test_a_model_of_spend_that_is_off_at_the_dates_of_the_season_does_not_move_prices() -> None:
    """Prices and their mix are the same at all dates."""
    errors = []
    for seed in range(3):
        model, base, now = fitted(seed)
        per_order = model.spend_per_order(now, base)
        assert per_order is not None
        errors.append(float(np.log(per_order.mean() / PRICE)))
    assert abs(np.mean(errors)) < 0.04
    assert np.abs(errors).max() < 0.10
