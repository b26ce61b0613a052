"""What is expected of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagecast.features import plain_json
from stagecast.serving.targeting.plan.curve import Curve, Point
from stagecast.serving.targeting.trial.power import Detectable


@dataclass(frozen=True)
class Forecast:
    """What is expected of a plan, before it is frozen.

    Parameters
    ----------
    churn
        What it is to leave: ``inactivity`` or ``cancellation``.
    window_days
        Days after the start in which orders count.
    considered
        Number of customers whom the plan may be about.
    left_out
        Reason -> number of customers.
    contacts
        What contacting those who are not held out is expected to bring.
    held_out, holdout_cost
        Number of customers who are left alone, and the expected gain that this gives up, in money.
    bound
        What no list within the same limits could exceed, in money, hold-out included.
    curve
        Gain against the number of contacts.
    by_play
        Play (or ``none``) -> what contacting its customers is expected to bring.
    rankings
        Expected gain of as many contacts, for no more money and with the same share held out, by
        this plan and by other rankings, in money.
    empc, empc_share
        Expected maximum profit per customer of a campaign by risk, and the share to contact.
    can_show_buyers, can_show_money
        The smallest effects that this hold-out would show; None without one.
    notes
        What a reader must know, in sentences.
    worth
        What a kept customer is worth by the terms of the plan, in money; None where the gain is
        counted of the value at risk and the value gone.
    """

    churn: str
    window_days: int
    considered: int
    left_out: Mapping[str, int]
    contacts: Point
    held_out: int
    holdout_cost: float
    bound: float
    curve: Curve
    by_play: Mapping[str, Point]
    rankings: Mapping[str, float]
    empc: float | None
    empc_share: float | None
    can_show_buyers: Detectable | None
    can_show_money: Detectable | None
    notes: tuple[str, ...]
    worth: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return plain_json.to_json(self)


def takes_everybody(forecast: Mapping[str, Any]) -> bool:
    """Return whether a plan lists everybody who may be contacted, by its forecast as plain data.

    No other choice of as many customers is then to be compared with it.

    >>> of = {"contacts": {"contacts": 8}, "curve": {"points": [{"contacts": 10}]}}
    >>> takes_everybody({**of, "held_out": 2}), takes_everybody({**of, "held_out": 1})
    (True, False)
    """
    listed = forecast["contacts"]["contacts"] + forecast["held_out"]
    return bool(listed and listed >= forecast["curve"]["points"][-1]["contacts"])
