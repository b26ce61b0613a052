"""How the customers of a log move, in Python: against counts by hand, and made selections."""

from __future__ import annotations

import pandas as pd

import stagecast as sc
from stagecast.serving.monitor.watch import _scorer

DATES = pd.to_datetime(["2024-03-01", "2024-06-01"])


def shop(rows: list[tuple[str, str, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["customer_id", "timestamp", "amount"])


def test_flows_are_those_of_a_count_by_hand() -> None:
    purchases = sc.datasets.load_cdnow()
    purchases = purchases[purchases["customer_id"].isin(purchases["customer_id"].unique()[::12])]
    with sc.read_events(purchases, duplicates="keep") as log:
        flows = log.flows("1998-01-01", scheme="clm5", moved_from="1997-05-01")
        spells, now = (
            log.spells("1998-01-01", scheme="clm5"),
            log.stages("1998-01-01", scheme="clm5"),
        )

    def stages(date: str) -> pd.Series:
        days = (
            purchases[purchases["timestamp"] < date].groupby("customer_id")["timestamp"].nunique()
        )
        return days.map(lambda count: "loyalty" if count >= 2 else "purchase")

    by_hand = pd.crosstab(stages("1997-05-01"), stages("1998-01-01"))
    moved = flows.moved.pivot(index="from_stage", columns="to_stage", values="customers").fillna(0)
    for start, end in (("purchase", "purchase"), ("purchase", "loyalty"), ("loyalty", "loyalty")):
        assert moved.loc[start, end] == by_hand.loc[start, end] > 0
    last = spells[spells["to"].isna()].set_index("customer_id")["stage"]
    assert last.sort_index().to_dict() == now["stage"].sort_index().to_dict()
    assert flows.cohorts["customers"].groupby(flows.cohorts["cohort"]).first().sum() == len(now)


def by_month(customers: range, months: range, amount: float) -> list[tuple[str, str, float]]:
    return [(f"c{k:03d}", f"2024-{m:02d}-10", amount) for k in customers for m in months]


def test_a_comparison_says_when_it_shows_a_selection() -> None:
    # of the customers, 120 come once and 60 each month; nobody changes
    rows = by_month(range(120), range(2, 3), 50.0) + by_month(range(120, 180), range(1, 13), 20.0)
    with sc.read_events(shop(rows)) as log:
        change = log.before_after("2024-06-15", "2024-12-15")
    assert change.summary.loc["sales", "difference"] < 0
    assert change.summary.loc["sales_per_customer", "difference"] > 0
    assert "a selection of who still buys" in change.caveats[0]
    assert change.customers == (180, 60)


def test_customers_who_all_buy_less_are_no_selection() -> None:
    rows = by_month(range(60), range(1, 7), 50.0) + by_month(range(60), range(7, 13), 20.0)
    with sc.read_events(shop(rows)) as log:
        change = log.before_after("2024-06-15", "2024-12-15")
    assert change.summary.loc["sales", "difference"] < 0
    assert not any("selection" in caveat for caveat in change.caveats)


def test_schemes_lists_all_and_the_stages_of_one() -> None:
    assert sc.schemes().loc["clm5", "stages"].startswith("attraction, interest")
    assert sc.schemes("clm5").loc["loyalty", "rule"] == "orders >= 2"


def test_a_fitted_model_can_be_watched(model: sc.Lifecycle) -> None:
    assert _scorer(model).bundle is model.bundle_


def test_cohorts_are_drawn_but_for_what_is_not_over() -> None:
    table = pd.DataFrame(
        {
            "cohort": pd.to_datetime(["2024-01-01"] * 3),
            "age": [0, 1, 2],
            "complete": [True, True, False],
            "retention": [1.0, 0.25, 0.1],
        }
    )
    chart = sc.plot.cohorts(table).to_dict()
    (rows,) = chart["datasets"].values() if "datasets" in chart else [chart["data"]["values"]]
    assert [(row["age"], row["text"]) for row in rows] == [(1, "25%")]
