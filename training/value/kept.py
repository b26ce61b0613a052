"""What leaving costs: value if kept, value at risk and value gone.

For each customer, over the value horizon,

    value_if_kept = clv + value_at_risk + value_gone

``value_if_kept`` is what a customer of today who stays one brings, buying at the own rate. With
a = P(still a customer), ``value_at_risk = a * (value of one who stays) - clv`` is what leaving from
now on is expected to cost, and ``value_gone = (1 - a) * (value of one who is back)`` is lost
already unless the customer comes back. The own rate of one who has left is that of the purchases
before; the silence since counts only against the rate of one who has not.

P(still a customer) is that of the customer base, moved together with P(purchase | still a
customer), in log odds, until both make the pooled P(purchase). The less likely a purchase is for a
customer, the less a silence says of whether there still is one, and the less it moves.

Who pays a price at regular gaps leaves when the next payment falls due (:mod:`.due`): until then
the whole of what leaving costs is at risk, and nothing is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from stagecast.features.arrays import Array
from stagecast.training.billing.schedule import USUAL_HAZARD
from stagecast.training.billing.unannounced import Unannounced

# A clv further than this factor from what the rate of a kept customer says is a sign that the
# customer has left, not that the rate is another.
RATE_RANGE: Final = 2.0
# Newton's steps, the longest one and the largest shift, in log odds.
STEPS: Final = 12
MAX_STEP, MAX_SHIFT = 5.0, 25.0
# Share of contracts that end before the lower end of the range; nothing is beyond the upper one.
CONTRACT_TAIL: Final = 0.10
HALVINGS: Final = 40
_SMALLEST: Final = 1e-9


@dataclass(frozen=True)
class ValueParts:
    """Parts of the value of customers, in money, shape (rows,) each; NaN is null."""

    clv: Array
    at_risk: Array
    gone: Array

    def where(self, chosen: NDArray[np.bool_], other: ValueParts) -> ValueParts:
        """Return these parts where chosen, and the other ones elsewhere."""
        return ValueParts(
            np.where(chosen, self.clv, other.clv),
            np.where(chosen, self.at_risk, other.at_risk),
            np.where(chosen, self.gone, other.gone),
        )


def still_customer(p_inactive: Array, base_none: Array, base_alive: Array) -> Array:
    """Return P(still a customer), brought to the pooled probability, shape (rows,).

    Parameters
    ----------
    p_inactive
        Pooled P(no purchase in the horizon).
    base_none
        Log odds of no purchase in the horizon by the customer base.
    base_alive
        P(still a customer) by the customer base.

    Notes
    -----
    With the log odds l and m of being a customer and of a purchase if one, the shift d solves
    ``expit(l + w d) expit(m + d) = P(purchase)``, where w is the customer base's P(purchase | still
    a customer). The logarithm of the left side is concave in d, so Newton's steps converge.

    >>> still_customer(np.array([0.6]), np.array([np.log(0.6 / 0.4)]), np.array([0.8])).round(6)
    array([0.8])
    """
    alive = np.clip(base_alive, _SMALLEST, 1.0 - _SMALLEST)
    p_base = expit(-base_none)
    p_if_alive = np.clip(p_base / alive, _SMALLEST, 1.0 - _SMALLEST)
    target = np.log(np.clip(1.0 - p_inactive, _SMALLEST, 1.0 - _SMALLEST))
    of_alive, of_purchase = logit(alive), logit(p_if_alive)
    shift = np.zeros_like(alive)
    for _ in range(STEPS):
        before = shift
        a, q = expit(of_alive + p_if_alive * shift), expit(of_purchase + shift)
        excess = np.log(np.maximum(a * q, _SMALLEST**2)) - target
        slope = p_if_alive * (1.0 - a) + (1.0 - q)
        shift = shift - np.clip(excess / np.maximum(slope, _SMALLEST), -MAX_STEP, MAX_STEP)
        shift = np.clip(shift, -MAX_SHIFT, MAX_SHIFT)
        if np.array_equal(shift, before):  # further steps change nothing
            break
    # whoever buys is a customer
    return np.maximum(expit(of_alive + p_if_alive * shift), 1.0 - p_inactive)


def still_until_due(alive: Array, ended: Array | float) -> Array:
    """Return P(still a customer) if who leaves does so when the next payment falls due, (rows,).

    Parameters
    ----------
    alive
        P(still a customer) if who leaves does so after the last payment.
    ended
        P(the next payment of who goes on has fallen due); 1 where nobody can say when it is.

    >>> still_until_due(np.array([0.9, 0.9]), np.array([0.0, 1.0])).tolist()
    [1.0, 0.9]
    """
    return np.asarray(alive + (1.0 - alive) * (1.0 - ended))


def parts_of_buyers(
    clv: Array,
    alive: Array,
    orders_if_alive: Array,
    kept_orders: Array,
    regained_orders: Array,
    value_per_order: Array,
    ended: Array | float = 1.0,
    on_dates: bool = False,
) -> ValueParts:
    """Return the parts of the value of buyers.

    A clv that is above or below what the orders of a customer say, says that they are more or
    fewer, kept or not. Payments on dates are as many as fall due: there it says how many leave.

    Parameters
    ----------
    clv
        Value over the value horizon, shape (rows,), as all arrays here.
    alive
        P(still a customer).
    orders_if_alive
        Discounted orders in the value horizon of a customer who is one today and may leave.
    kept_orders
        Those of a customer who is one today and stays one.
    regained_orders
        Those of a customer who had left, and is one again.
    value_per_order
        Earned per order.
    ended
        P(the next payment has fallen due), of who pays at regular gaps; see
        :func:`still_until_due`.
    on_dates
        Whether all pay at regular gaps.
    """
    ratio = clv / np.maximum(alive * orders_if_alive * value_per_order, _SMALLEST)
    # a clv that is far from what the rate of a customer says, says that there is no customer
    rate = np.clip(ratio, 1.0 / RATE_RANGE, RATE_RANGE)
    alive = alive * np.minimum(ratio / rate, 1.0)
    level = np.where(on_dates, 1.0, rate)
    value_if_stays = np.maximum(kept_orders * value_per_order * level, clv)
    # nobody is less of a customer than the clv needs
    alive = np.clip(np.maximum(alive, clv / np.maximum(value_if_stays, _SMALLEST)), 0.0, 1.0)
    alive = still_until_due(alive, ended)
    at_risk = np.maximum(alive * value_if_stays - clv, 0.0)
    return ValueParts(clv, at_risk, (1.0 - alive) * regained_orders * value_per_order)


def parts_of_contracts(
    near_value: Array,
    kept_value: Array,
    p_cancel: Array,
    horizon_days: int,
    days: int,
    rate: float,
    unannounced: Unannounced | None = None,
) -> ValueParts:
    """Return the parts of the value of open contracts, of which nothing is gone.

    The contract ends at a constant hazard, that of P(cancel). Where some ends are announced, it is
    higher after the horizon, of which no end is known yet: by as much as the usual one.

    Parameters
    ----------
    near_value
        Value within the horizon, which the clv is no less than.
    kept_value
        Value over the value horizon if the contract goes on.
    p_cancel
        P(cancellation within the horizon).
    horizon_days, days
        The horizon and the value horizon.
    rate
        Annual discount rate.
    unannounced
        Share of the ends within the horizon that are not known before; None of all.
    """
    daily = np.log1p(rate) / 365.0
    hazard = -np.log1p(-np.clip(p_cancel, 0.0, 1.0 - _SMALLEST)) / horizon_days
    lasts = _annuity(hazard + daily, days)
    if unannounced is not None and days > horizon_days:
        usual = unannounced.rate * horizon_days
        unknown = usual * float(unannounced.within(float(horizon_days)))
        own = hazard * horizon_days + USUAL_HAZARD
        later = own / (unknown + USUAL_HAZARD) * usual / horizon_days
        lasts = _annuity(hazard + daily, horizon_days)
        stays = np.exp(-(hazard + daily) * horizon_days)
        lasts = lasts + stays * _annuity(later + daily, days - horizon_days)
    lasting = lasts / _annuity(np.full(len(hazard), daily), days)
    clv = np.maximum(kept_value * lasting, np.minimum(near_value, kept_value))
    return ValueParts(clv, kept_value - clv, np.zeros(len(clv)))


def range_of_contracts(clv: Array, kept_value: Array, payment: Array) -> tuple[Array, Array]:
    """Return the ends of the 90 % range of the value of open contracts, shape (rows,) each.

    A contract brings its payments until it ends, at a constant hazard. So nothing lies above the
    value if it goes on, but for one payment by which a span can hold more of them, and the lower
    end is where one contract in ten has ended, less half a payment.

    Parameters
    ----------
    clv
        Expected value over the value horizon.
    kept_value
        Value over the value horizon if the contract goes on.
    payment
        What one payment brings.

    >>> low, high = range_of_contracts(np.array([120.0]), np.array([120.0]), np.array([10.0]))
    >>> (low.round(3).tolist(), high.round(3).tolist())
    ([115.0], [130.0])
    """
    share = np.clip(clv / np.maximum(kept_value, _SMALLEST), _SMALLEST, 1.0 - _SMALLEST)
    # the hazard h over the span, of which the mean share that passes is (1 - exp(-h)) / h
    least, most = np.full(share.shape, np.log(_SMALLEST)), np.full(share.shape, -np.log(_SMALLEST))
    for _ in range(HALVINGS):
        middle = (least + most) / 2.0
        h = np.exp(middle)
        lasts = -np.expm1(-h) / h > share
        least, most = np.where(lasts, middle, least), np.where(lasts, most, middle)
    passed = np.minimum(-np.log1p(-CONTRACT_TAIL) / np.exp(least), 1.0)
    low = np.maximum(kept_value * passed - payment / 2.0, 0.0)
    return np.minimum(low, clv), np.maximum(kept_value + payment, clv)


def _annuity(rate: Array, days: int) -> Array:
    small = rate < _SMALLEST
    safe = np.where(small, 1.0, rate)
    return np.where(small, float(days), -np.expm1(-safe * days) / safe)
