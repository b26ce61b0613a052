"""What the values with the levers assume, in sentences."""

from __future__ import annotations

from stagecast.training.what_if.levers import TOGETHER
from stagecast.training.what_if.second_order import SecondOrder
from stagecast.training.what_if.value import Leaving, WhatIf


def assumptions(result: WhatIf, horizon_days: int, annual_discount: float) -> list[str]:
    """Return the assumptions of each lever that changes something, and those of all.

    Parameters
    ----------
    result
        The values.
    horizon_days
        Horizon of the probability of leaving, in days.
    annual_discount
        Annual rate of the discount.
    """
    names = [name for name in result.scenarios if name != TOGETHER]
    lines = [
        "Value is what the customers who have bought so far are expected to bring, times the "
        f"margin, discounted by {annual_discount:.4g} a year; people who have not bought yet, and "
        "customers to come, are left out."
    ]
    for name in names:
        levers = result.scenarios[name]
        if levers.churn:
            lines.append(f"{name}: {_churn(result.leaving, horizon_days)}")
        if levers.second_order_days:
            lines.append(f"{name}: {_second(result.second, result.one_time)}")
        if levers.basket:
            lines.append(
                f"{name}: each order brings {1.0 + levers.basket:.4g} times the money at the same "
                "margin, and nobody orders less often for it."
            )
    if TOGETHER in result.scenarios:
        lines.append(
            f"{TOGETHER}: all of them at once, worked out together; the differences of each alone "
            "do not add up to it."
        )
    lines.append(
        "This is arithmetic on models of the past, not a forecast: it does not say whether any of "
        "it can be reached, by what means, or at what cost."
    )
    return lines


def _churn(leaving: Leaving, horizon_days: int) -> str:
    if not leaving.customers or leaving.before <= 0:
        return "nobody can leave by the models, so this changes nothing."
    mean = f"from {leaving.before:.2%} to {leaving.after:.2%}"
    if leaving.by_contract:
        return (
            f"P(cancellation within {horizon_days} days) of {leaving.customers:,} open contracts "
            f"changes by the same share for each, on average {mean}, and stays so for three years; "
            "ends that are announced stay, and who has no open contract is not changed."
        )
    return (
        f"the chance that a customer leaves for good within {horizon_days} days, the mean of "
        f"{leaving.customers:,} active customers by the customer base, changes {mean}, and the "
        "drop-out of every customer stays changed by that factor for three years; who has left "
        "already stays away, and the order rate of who stays is as before."
    )


def _second(second: SecondOrder | None, buyers: int) -> str:
    if second is None:
        return "nobody has bought exactly once, so this changes nothing."
    who = "the 1 customer who has" if buyers == 1 else f"the {buyers:,} customers who have"
    return (
        f"{who} bought once {'orders' if buyers == 1 else 'order'} {second.pace:.3f} times as "
        "often from now on, so that half of the second orders within a year come within "
        f"{second.changed_days:.1f} days instead of {second.median_days:.1f}; orders after the "
        f"second keep this pace, and {second.changed_p_within_year:.1%} instead of "
        f"{second.p_within_year:.1%} order again within a year."
    )
