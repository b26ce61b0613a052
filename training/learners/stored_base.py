"""Reading of a customer base that was stored as JSON, of whichever kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stagecast.training.billing.periods import BillingPeriods
from stagecast.training.learners.customer_base import CustomerBase
from stagecast.training.learners.following import Following
from stagecast.training.learners.plans import PlannedBase
from stagecast.training.learners.regularities import RegularityBase
from stagecast.training.learners.seasonal_buyers import SeasonalBase


def base_from_json(stored: Mapping[str, Any]) -> CustomerBase:
    """Read what :meth:`CustomerBase.to_json` of any customer base returns.

    Raises
    ------
    KeyError, TypeError, ValueError
        ``stored`` does not have that form.
    """
    base = CustomerBase.from_json(stored)
    if "once" in stored:
        return SeasonalBase.with_season(base, stored)
    if "groups" in stored:
        return RegularityBase.with_groups(base, stored)
    if "plans" not in stored:
        return base
    return PlannedBase(
        base.models,
        base.spend,
        base.weights,
        periods=BillingPeriods.from_json(stored["periods"]),
        plans=tuple(CustomerBase.from_json(plan) for plan in stored["plans"]),
        later_prices=tuple(
            tuple((float(price), float(factor)) for price, factor in plan)
            for plan in stored["later_prices"]
        ),
        following=tuple(plan and Following.from_json(plan) for plan in stored.get("following", ())),
    )
