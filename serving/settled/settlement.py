"""What a published run said, and what came: churn, orders and spend, by group of customers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stagecast.features import plain_json
from stagecast.features.arrays import Array
from stagecast.serving.targeting.trial.spread import SpendSpread, measure_spread
from stagecast.training.config import Churn

Texts = NDArray[np.object_]


@dataclass(frozen=True)
class Group:
    """Customers of a run: what was said of them, and what came.

    Parameters
    ----------
    customers
        Their number.
    said_to_leave, left
        Expected number without an order in the horizon (or whose contract is cancelled), and the
        number that had none; of the
        active alone in the groups of a churn band, else of all with a probability.
    orders_said, orders
        Expected and observed purchase days.
    spend_said, spend
        Expected and observed spend, net of refunds, in money; None where there are no amounts.
    asked
        Customers with a probability; this and what follows are None in rows of before.
    leave_spread
        Standard deviation of ``left`` where the probabilities are right.
    spend_spread
        Standard error of ``spend`` less ``spend_said``, from the errors of the customers.
    """

    customers: int
    said_to_leave: float
    left: int
    orders_said: float
    orders: float
    spend_said: float | None
    spend: float | None
    asked: int | None = None
    leave_spread: float | None = None
    spend_spread: float | None = None


@dataclass(frozen=True)
class Settlement:
    """A run closed against what came.

    Parameters
    ----------
    as_of, horizon_days, model_version
        Of the run; the as_of as text.
    customers
        Number of scores that were published.
    missing
        Customers of them who were erased since.
    active
        All customers who were active at the as_of.
    by_band, by_stage, by_method
        The active by churn band; all customers by stage, and by the method of their score.
    brier
        Mean squared error of the churn probabilities of the active; None where there are none.
    in_time
        Whether the run was published before its horizon was over; if not, it foresaw nothing.
    spread
        How widely a buyer's spend varied, from which the power of later plans is worked out; None
        where there are no amounts.
    churn
        What the probabilities were of; None in rows of before.
    """

    as_of: str
    horizon_days: int
    model_version: str
    customers: int
    missing: int
    active: Group
    by_band: Mapping[str, Group]
    by_stage: Mapping[str, Group]
    by_method: Mapping[str, Group]
    brier: float | None
    in_time: bool = True
    spread: SpendSpread | None = None
    churn: Churn | None = field(default=None, metadata=plain_json.IF_KNOWN)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return plain_json.to_json(self)


@dataclass(frozen=True)
class Said:
    """What a run said of its customers, shape (n,) each; NaN or None where it said nothing."""

    state: Texts
    stage: Texts
    churn_band: Texts
    method: Texts
    p_inactive: Array
    expected_orders: Array
    expected_spend: Array


def settlement(
    said: Said,
    orders: Array,
    spend: Array | None,
    *,
    as_of: str,
    horizon_days: int,
    model_version: str,
    customers: int,
    in_time: bool = True,
    kept: NDArray[np.bool_] | None = None,
) -> Settlement:
    """Compare what was said with what came.

    Parameters
    ----------
    said
        The scores, n of them.
    orders, spend
        Purchase days and money spent within the horizon, shape (n,); no spend where there are no
        amounts.
    as_of, horizon_days, model_version, customers
        Of the run.
    in_time
        Whether it was published before its horizon was over.
    kept
        Whose contract was not cancelled in the horizon, shape (n,), which decides of the active;
        None where churn is no purchase.
    """
    active = np.asarray(said.state == "active", dtype=np.bool_) & np.isfinite(said.p_inactive)
    gone = orders == 0
    if kept is not None:
        gone = np.where(active, ~kept, gone)

    def group(rows: NDArray[np.bool_]) -> Group:
        p = said.p_inactive[rows]
        asked = np.isfinite(p)
        has_spend = spend is not None and bool(np.isfinite(said.expected_spend[rows]).any())
        spend_spread = None
        if spend is not None and has_spend:
            errors = spend[rows] - np.nan_to_num(said.expected_spend[rows])
            spend_spread = float(np.sqrt(len(errors)) * errors.std())
        return Group(
            customers=int(rows.sum()),
            said_to_leave=float(p[asked].sum()),
            left=int(gone[rows][asked].sum()),
            orders_said=float(np.nansum(said.expected_orders[rows])),
            orders=float(orders[rows].sum()),
            spend_said=float(np.nansum(said.expected_spend[rows])) if has_spend else None,
            spend=float(spend[rows].sum()) if spend is not None and has_spend else None,
            asked=int(asked.sum()),
            leave_spread=float(np.sqrt(np.sum(p[asked] * (1 - p[asked])))),
            spend_spread=spend_spread,
        )

    def groups(labels: Texts, among: NDArray[np.bool_]) -> dict[str, Group]:
        names = sorted({label for label in labels[among] if label is not None})
        return {name: group(among & (labels == name)) for name in names}

    everybody = np.ones(len(orders), dtype=np.bool_)
    errors = said.p_inactive[active] - gone[active]
    return Settlement(
        as_of,
        horizon_days,
        model_version,
        customers,
        customers - len(orders),
        active=group(active),
        by_band=groups(said.churn_band, active),
        by_stage=groups(said.stage, everybody),
        by_method=groups(said.method, everybody),
        brier=float(np.mean(errors**2)) if len(errors) else None,
        in_time=in_time,
        spread=None
        if spend is None or kept is not None
        else measure_spread(spend, 1 - said.p_inactive, said.expected_spend),
        churn="inactivity" if kept is None else "cancellation",
    )
