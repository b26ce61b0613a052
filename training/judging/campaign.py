"""The campaign that the expected maximum profit (EMPC) is of.

With the published settings (an offer of 10, a contact of 1, a kept customer worth 200) it pays to
contact everybody as soon as one in six leaves, and every ranking earns the same. Where nothing is
set, a contact therefore costs what makes contacting everybody earn nothing: what is left is the
profit that ranking brings.

Source: Verbraken, Verbeke and Baesens (2013), "A novel profit maximizing metric for measuring
classification performance of customer churn prediction models", equation 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stagecast.features.errors import UsageError

if TYPE_CHECKING:
    from stagecast.training.judging.backtest import Replay

ACCEPTED = (6.0, 14.0)
"""Parameters of the beta distribution of the share of churners who accept the offer, as published:
.3 on average."""
INCENTIVE = 0.05
"""Share of the value of a kept customer that the offer costs, as published."""
PUBLISHED_CLV = 200.0
LEAST_CONTACT = 0.005
"""Share of that value that a contact costs at least, as published."""


@dataclass(frozen=True)
class CampaignCosts:
    """What is known of the campaign, in the currency of the log; None: it is taken from the log.

    Parameters
    ----------
    clv
        What a customer who is kept is worth, above 0.
    incentive_cost
        What the offer costs where it is accepted, at least 0.
    contact_cost
        What a contact costs, at least 0.

    Raises
    ------
    UsageError
        One of them is outside its range.
    """

    clv: float | None = None
    incentive_cost: float | None = None
    contact_cost: float | None = None

    def __post_init__(self) -> None:
        for name in ("clv", "incentive_cost", "contact_cost"):
            value = getattr(self, name)
            if value is None:
                continue
            least = "above 0" if name == "clv" else "0 or more"
            if not np.isfinite(value) or value < 0 or (name == "clv" and value == 0):
                option = f"--{name.replace('_', '-')}"
                raise UsageError(f"{option} {value} must be {least}, in the currency of the log")
        if None not in (self.clv, self.incentive_cost) and self.incentive_cost >= self.clv:  # type: ignore[operator]
            raise UsageError(
                f"--incentive-cost {self.incentive_cost} is no less than --clv {self.clv}: nobody "
                "would be worth keeping; give a smaller one"
            )


@dataclass(frozen=True)
class Campaign:
    """Settings of the expected maximum profit, in money per customer.

    Parameters
    ----------
    clv, incentive_cost, contact_cost
        See :class:`CampaignCosts`.
    """

    clv: float
    incentive_cost: float
    contact_cost: float


PUBLISHED = Campaign(PUBLISHED_CLV, INCENTIVE * PUBLISHED_CLV, LEAST_CONTACT * PUBLISHED_CLV)


def campaign_of(
    replays: Sequence[Replay], costs: CampaignCosts | None = None, margin: float = 1.0
) -> Campaign:
    """Return the campaign of a backtest.

    A kept customer is worth what those who stayed spent in the horizon, times the margin (200 where
    the log has no amounts); the offer costs 5 % of it; a contact what makes contacting everybody
    earn nothing.

    Parameters
    ----------
    costs
        What is known of the campaign.
    margin
        Share of the spend that is earned.
    """
    costs = costs or CampaignCosts()
    clv = costs.clv
    if clv is None:
        spent = [r.observed_spend[~r.inactive] for r in replays if r.expected_spend]
        mean = float(np.concatenate(spent).mean()) if sum(map(len, spent)) else 0.0
        clv = mean * margin if mean > 0 else PUBLISHED_CLV
        if costs.incentive_cost is not None:  # an offer that costs more than this is of more value
            clv = max(clv, costs.incentive_cost / INCENTIVE)
    incentive = INCENTIVE * clv if costs.incentive_cost is None else costs.incentive_cost
    contact = costs.contact_cost
    if contact is None:
        left = float(np.mean([replay.inactive.mean() for replay in replays]))
        contact = max(break_even(left, clv, incentive), LEAST_CONTACT * clv)
    return Campaign(clv, incentive, contact)


def break_even(left: float, clv: float, incentive_cost: float) -> float:
    """Return the cost of a contact at which contacting everybody earns nothing.

    >>> round(break_even(0.5, 200.0, 10.0), 6)
    23.5
    """
    accepted = ACCEPTED[0] / sum(ACCEPTED)
    return left * accepted * (clv - incentive_cost) - (1.0 - left) * incentive_cost
