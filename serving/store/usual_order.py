"""The order of a list that asks for none: by what can be moved, else by how likely it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stagecast.serving.store.queries import (
    DEFAULT_SORT,
    LAPSED_SORT,
    LIKELIEST_TO_BUY,
    LIKELIEST_TO_RETURN,
    RISKIEST_SORT,
    Order,
)


def usual_order(totals: Mapping[str, Any], state: str | None) -> Order:
    """Return how customers are ranked where nobody says how.

    Parameters
    ----------
    totals
        Of the whole run: ``value_at_risk`` of the active and ``may_return`` of the lapsed, in
        money; None where it is not known.
    state
        State of all customers of the list; None: of several states.

    Returns
    -------
    The active by the value at risk, or, where nobody is expected to cost anything by leaving, by
    the churn probability; the lapsed by what may return, or by the chance to return; prospects by
    the orders expected of them, which are the chance of a first one times the same number for all.
    A list of several states is ranked as its active are, unless the money is with the lapsed
    alone.

    >>> str(usual_order({"value_at_risk": 0.0, "may_return": 40.0}, None))
    '-win_back'
    >>> str(usual_order({"value_at_risk": 0.0, "may_return": 40.0}, "active"))
    '-churn_probability'
    """
    at_risk, may_return = (float(totals[n] or 0.0) for n in ("value_at_risk", "may_return"))
    if state == "prospect":
        return Order.parse(LIKELIEST_TO_BUY)
    if state == "lapsed":
        return Order.parse(LAPSED_SORT if may_return > 0 else LIKELIEST_TO_RETURN)
    if at_risk > 0:
        return Order.parse(DEFAULT_SORT)
    return Order.parse(LAPSED_SORT if state is None and may_return > 0 else RISKIEST_SORT)


def state_of_stages(scheme: Mapping[str, Any], stages: tuple[str, ...]) -> str | None:
    """Return the state of the customers on stages of a scheme; None: on several, or no stage.

    >>> scheme = {"stages": [{"id": "lost", "state": "lapsed"}, {"id": "loyal"}]}
    >>> state_of_stages(scheme, ("lost",)), state_of_stages(scheme, ("lost", "loyal"))
    ('lapsed', None)
    """
    states = {s.get("state", "active") for s in scheme["stages"] if s["id"] in stages}
    return states.pop() if len(states) == 1 else None
