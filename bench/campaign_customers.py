"""Customers whose true rates, prices and departures are known, and scores that know part of it.

Purchase rates are gamma-distributed, prices lognormal; part of the customers has left. The scores
are calibrated: they know the distributions, a noisy rate, and the chance to have left, but neither
who left nor the true rate. Contact brings back part of those who left, more of some than of others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stagecast.features.arrays import Array, Integers
from stagecast.serving.targeting.trial.expected import Expected, expected_buyers, expected_money

RATE_SHAPE, RATE_MEAN = 1.0, 1.2
"""Orders of a customer who stayed in a window, as far as the score knows them."""
UNKNOWN_SHAPE = 4.0
"""Shape of the factor of mean 1 between the rate that the score knows and the true one."""
GONE_A, GONE_B = 2.0, 3.0
PRICE_MEAN, PRICE_SIGMA, ORDER_SIGMA = 40.0, 0.4, 0.5
MEASURES = ("buyers", "money")


@dataclass(frozen=True)
class Business:
    """A kind of business.

    Parameters
    ----------
    name
        What it is called.
    customers, share
        Size of its lists, and the share held out.
    rate_shape, rate_mean
        Of the gamma-distributed orders in a window of customers who stayed.
    price_sigma, order_sigma
        Spread of the logarithm of prices between customers, and between orders of one.
    """

    name: str
    customers: int = 10_000
    share: float = 0.2
    rate_shape: float = RATE_SHAPE
    rate_mean: float = RATE_MEAN
    price_sigma: float = PRICE_SIGMA
    order_sigma: float = ORDER_SIGMA


RETAIL = Business("retail")
BUSINESSES = (
    RETAIL,
    Business("small shop", customers=1_000),
    Business("rare purchases", customers=5_000, share=0.1, rate_mean=0.15),
    Business("wide prices", customers=5_000, rate_shape=0.5, price_sigma=1.0, order_sigma=1.0),
    Business("wholesale", customers=2_000, rate_mean=4.0, price_sigma=1.2, order_sigma=0.8),
)


@dataclass(frozen=True)
class Shop:
    """Customers as their scores know them.

    Parameters
    ----------
    rate
        Expected orders in the window of a customer who stayed, shape (n,).
    gone
        P(has left), shape (n,).
    price
        Expected money of an order, shape (n,).
    """

    rate: Array
    gone: Array
    price: Array

    def buys(self, elapsed: float = 1.0) -> Array:
        """Return P(order by then) of customers who stayed: 0 orders have a negative binomial."""
        return 1 - (1 + self.rate * elapsed / UNKNOWN_SHAPE) ** -UNKNOWN_SHAPE

    @property
    def purchase(self) -> Array:
        """P(purchase in the window) if left alone."""
        return (1 - self.gone) * self.buys()

    @property
    def spend(self) -> Array:
        """Expected spend in the window if left alone."""
        return (1 - self.gone) * self.rate * self.price

    def effect(self, measure: str, returns: float, elapsed: float = 1.0) -> float:
        """Return the expected effect per contacted customer up to a part of the window."""
        back = self.buys(elapsed) if measure == "buyers" else self.rate * self.price * elapsed
        return float(np.mean(returns * self.gone * back))

    def expected(self, measure: str, cv: float) -> Expected:
        """Return what the power is told from."""
        if measure == "buyers":
            return expected_buyers(self.purchase)
        return expected_money(self.purchase, self.spend, cv)


def draw_shop(random: np.random.Generator, customers: int, business: Business = RETAIL) -> Shop:
    """Draw customers."""
    sigma = business.price_sigma
    return Shop(
        random.gamma(business.rate_shape, business.rate_mean / business.rate_shape, customers),
        random.beta(GONE_A, GONE_B, customers),
        PRICE_MEAN * np.exp(random.normal(-(sigma**2) / 2, sigma, customers)),
    )


def draw_outcomes(
    random: np.random.Generator,
    shop: Shop,
    contacted: NDArray[np.bool_],
    returns: float,
    looks: int,
    business: Business = RETAIL,
) -> tuple[Array, Array]:
    """Draw who had bought, and the money spent, up to each look: two arrays (n, looks).

    Parameters
    ----------
    random
        Generator.
    shop
        The customers.
    contacted
        Assigned arm, shape (n,).
    returns
        Mean part of the contacted, gone customers who come back, at most a half: that of a customer
        is uniform between 0 and twice as much.
    looks
        Looks at equal distances.
    business
        Whose orders they place.
    """
    n = len(shop.rate)
    back = contacted & (random.random(n) < random.uniform(0, 2 * returns, n))
    stays = (random.random(n) >= shop.gone) | back
    rate = shop.rate * random.gamma(UNKNOWN_SHAPE, 1 / UNKNOWN_SHAPE, n) * stays
    orders = random.poisson(rate)
    buyer = np.repeat(np.arange(n), orders)
    look = random.integers(0, looks, len(buyer))
    sigma = business.order_sigma
    noise = np.exp(random.normal(-(sigma**2) / 2, sigma, len(buyer)))
    cell = buyer * looks + look
    spend = np.bincount(cell, shop.price[buyer] * noise, n * looks).reshape(n, looks)
    count = np.bincount(cell, minlength=n * looks).reshape(n, looks)
    bought = count.cumsum(axis=1) > 0
    return bought.astype(np.float64), spend.cumsum(axis=1)


def strata_codes(shop: Shop) -> Integers:
    """Return the stratum of each customer: three bands of P(gone)."""
    return np.searchsorted(np.array([0.3, 0.5]), shop.gone).astype(np.int64)
