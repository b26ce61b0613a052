"""The list of a run says what its customers are ranked by, and no more."""

from __future__ import annotations

import pyarrow as pa
import pytest

from stagecast.serving.commands.terminal import risk_lines


def scores(
    value_at_risk: list[float | None], clv: list[float | None], spend: list[float | None]
) -> pa.Table:
    return pa.table(
        {
            "customer_id": ["a", "b", "c"],
            "state": ["active", "active", "lapsed"],
            "stage": ["new", "loyal", "lost"],
            "churn_probability": pa.array([0.5, 0.25, None], pa.float64()),
            "tenure_days": [100.0, 365.0, 900.0],
            "value_at_risk": pa.array([*value_at_risk, None], pa.float64()),
            "clv": pa.array([*clv, None], pa.float64()),
            "spend": pa.array([*spend, 9000.0 if spend[0] else None], pa.float64()),
            "reasons": pa.array([[], [], []], pa.list_(pa.string())),
        }
    )


@pytest.mark.parametrize(
    ("value_at_risk", "clv", "spend", "title", "first"),
    [
        (
            [5.0, 30.0],
            [9.0, 200.0],
            [10.0, 600.0],
            "the most value at risk in the next 365 days",
            "b €30",
        ),
        (
            [None, None],
            [None, None],
            [10.0, 600.0],
            "the most at stake (the churn probability times the spend of a year)",
            "b €150",  # a quarter of 600 in a year
        ),
        # nobody leaves for good: a column of zeros, or of next to nothing, would say nothing
        (
            [0.004, 0.001],
            [9.0, 200.0],
            [10.0, 600.0],
            "the most at stake (the churn probability times the value of the next 365 days)",
            "b €50",
        ),
        (
            [0.0, 0.0],
            [0.0, 0.0],
            [10.0, 600.0],
            "the most at stake (the churn probability times the spend of a year)",
            "b €150",
        ),
        ([None, None], [None, None], [None, None], "the highest churn probability", "a"),
    ],
)
def test_the_title_says_what_customers_are_ranked_by(
    value_at_risk: list[float | None],
    clv: list[float | None],
    spend: list[float | None],
    title: str,
    first: str,
) -> None:
    lines = risk_lines(scores(value_at_risk, clv, spend), 365, "EUR")
    assert lines[0] == f"The 2 customers with {title}:"
    customer, _, money = first.partition(" ")
    assert lines[2].split()[0] == customer
    assert money in lines[2]
    assert ("€" in lines[2]) == bool(money)
