"""The table of channels, from a log to its rows."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from stagecast.features.clock import DAY_MICROSECONDS, microseconds
from stagecast.features.describe.channels.costs import Cost, Costs
from stagecast.features.describe.channels.origins import MOST_GROUPS, Origins, group_by, origins
from stagecast.features.describe.channels.rows import Buyers
from stagecast.features.describe.channels.table import FIRST_SEEN, ChannelTable, channel_table
from stagecast.features.engines.duckdb import DailyTable
from stagecast.features.errors import UsageError
from stagecast.features.events import from_frame
from stagecast.features.record import PurchaseDays

DAY = DAY_MICROSECONDS
AS_OF = microseconds(datetime(2022, 1, 1, tzinfo=UTC))
START = microseconds(datetime(2020, 1, 1, tzinfo=UTC))
BUYERS = 200


def made(*, clv: bool = True) -> tuple[Origins, Buyers]:
    """Return 200 buyers and 50 others of 'ads', first seen one a day in 2020, and 5 of 'mail'.

    Each buyer orders 20 on the first day and 10 on day 30.
    """
    seen_at = START + np.r_[np.arange(BUYERS), np.arange(50), np.arange(5)] * DAY
    buyer = np.arange(BUYERS)
    first = seen_at[buyer]
    days = PurchaseDays(
        np.repeat(buyer, 2),
        np.stack([first, first + 30 * DAY], axis=1).ravel() // DAY,
        np.tile([20.0, 10.0], BUYERS),
        np.stack([first, first + 30 * DAY], axis=1).ravel(),
    )
    texts = np.array(["ads"] * (BUYERS + 50) + ["mail"] * 5, dtype=object)
    people = len(texts)
    return group_by(texts, "channel", np.ones(people, dtype=bool)), Buyers(
        AS_OF,
        days,
        seen_at,
        np.full(people, 15.0) if clv else None,
        np.arange(people) % 4 == 0,
    )


def table(costs: Costs = Costs(), **options: object) -> ChannelTable:  # noqa: B008
    groups, buyers = made()
    return channel_table(groups, buyers, costs, unit="quarter", **options)  # type: ignore[arg-type]


ADS = Costs((Cost("ads", START // DAY, START // DAY + BUYERS, 5000.0),))


def test_the_figures_of_a_channel_are_those_counted_by_hand() -> None:
    ads, mail = table(ADS).rows
    assert (ads.group, ads.people, ads.customers, ads.cost) == ("ads", 250, 200, 5000.0)
    assert ads.cac is not None
    assert ads.cac.value == 25.0
    for figure, value in ((ads.first_order, 20.0), (ads.year_over, 30.0), (ads.year, 30.0)):
        assert figure is not None
        assert figure.value == pytest.approx(value)
    assert ads.lost is not None
    assert ads.lost.value == 0.25
    # (30 so far + 15 to come) * 200 / 5000
    assert ads.ltv_to_cac is not None
    assert ads.ltv_to_cac.value == pytest.approx(1.8)
    assert ads.payback is not None
    assert ads.payback.days == 30.0
    assert (mail.group, mail.people, mail.customers, mail.cost) == ("mail", 5, 0, None)
    assert mail.first_order is not None
    assert mail.first_order.too_few


def test_with_a_margin_the_cost_is_paid_back_later_or_not_at_all() -> None:
    ads = table(ADS, margin=0.5).rows[0]
    assert ads.payback is not None
    assert ads.payback.days is None
    assert ads.payback.followed_days > 500
    assert ads.ltv_to_cac is not None
    assert ads.ltv_to_cac.value == pytest.approx((15 + 15) * 200 / 5000)


def test_cost_per_customer_is_asked_only_of_those_whose_days_were_paid_for() -> None:
    half = Costs((Cost("ads", START // DAY, START // DAY + 100, 1000.0),))
    ads = table(half).rows[0]
    assert ads.cac is not None
    assert (ads.cac.customers, ads.cac.value) == (100, 10.0)


def test_cohorts_add_up_to_their_channel() -> None:
    made_table = table(ADS)
    cohorts = [row for row in made_table.cohorts if row.group == "ads"]
    assert sum(row.people for row in cohorts) == 250
    assert sum(row.customers for row in cohorts) == 200
    assert sum(row.cost or 0.0 for row in cohorts) == pytest.approx(5000.0)
    # 91 days of the first quarter of 2020
    assert (cohorts[0].customers, cohorts[0].cost) == (91, pytest.approx(91 * 25.0))


def test_a_cost_of_the_future_is_not_borne_yet() -> None:
    later = Costs((Cost("ads", AS_OF // DAY - 10, AS_OF // DAY + 10, 100.0),))
    assert table(later).rows[0].cost == 50.0


def test_a_paid_channel_in_which_nobody_was_seen_keeps_its_cost_and_is_named() -> None:
    result = table(Costs((Cost("Ads", 18262, 18263, 9.0),)))
    assert (result.rows[-1].group, result.rows[-1].cost, result.rows[-1].people) == ("Ads", 9.0, 0)
    (note,) = [note for note in result.notes if "'Ads'" in note]
    assert "Did you mean 'ads'?" in note


def test_without_scores_or_costs_what_needs_them_is_missing_and_the_notes_say_so() -> None:
    groups, buyers = made(clv=False)
    result = channel_table(groups, buyers, Costs())
    ads = result.rows[0]
    assert (ads.cac, ads.clv, ads.ltv_to_cac, ads.payback) == (None, None, None, None)
    assert any("--spend" in note for note in result.notes)
    assert any("No scores" in note for note in result.notes)


def test_a_log_without_amounts_tells_customers_and_share_lost_only() -> None:
    ads = table(ADS, has_amounts=False).rows[0]
    money = (ads.first_order, ads.year, ads.year_over, ads.clv, ads.ltv_to_cac, ads.payback)
    assert money == (None,) * 6
    assert ads.lost is not None
    assert ads.cac is not None


def test_the_words_claim_no_cause() -> None:
    result = table(ADS).to_json()
    assert FIRST_SEEN in result["notes"]
    text = str(result).lower()
    assert "caused" not in text
    assert {"first_seen_in"} <= set(result["groups"][0])


def test_the_table_has_a_line_for_each_group_and_cohort_with_the_same_numbers() -> None:
    result = table(ADS)
    lines: pa.Table = result.to_table()
    assert len(lines) == len(result.rows) + len(result.cohorts)
    first = lines.slice(0, 1).to_pylist()[0]
    assert (first["first_seen_in"], first["cohort"], first["cac"]) == ("ads", None, 25.0)
    assert first["payback_followed_days"] > 500
    assert lines["cohort"].to_pylist().count(None) == len(result.rows)


@pytest.mark.parametrize("margin", [0.0, -1.0, 1.5, float("nan")])
def test_a_margin_outside_its_range_is_refused(margin: float) -> None:
    with pytest.raises(UsageError, match="--margin"):
        table(margin=margin)


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": ["a", "a", "b", "c", "us"],
            "timestamp": pd.to_datetime(["2020-01-02", "2020-02-01", *["2020-01-05"] * 3]),
            "event": ["visit", "purchase", "purchase", "purchase", "ad_cost"],
            "amount": [None, 5.0, 7.0, 9.0, 100.0],
            "channel": ["mail", "ads", "ads", None, "ads"],
        }
        | columns
    )


def test_a_customer_belongs_to_the_channel_of_the_first_event_not_of_the_first_purchase() -> None:
    with from_frame(frame()) as log:
        days = DailyTable(log.con, log.choose_as_of(None))
        groups = origins(days, log.con, "channel", ("ad_cost",))
        of = {
            customer: groups.names[k]
            for customer, k in zip(days.customers, groups.group, strict=True)
        }
    assert (of["a"], of["b"], of["c"]) == ("mail", "ads", "(none)")
    assert dict(zip(days.customers, groups.counted, strict=True)) == {
        "a": True, "b": True, "c": True, "us": False,
    }  # fmt: skip


def test_a_log_without_channels_says_what_to_do() -> None:
    with from_frame(frame(channel=[None] * 5)) as log:
        days = DailyTable(log.con, log.choose_as_of(None))
        with pytest.raises(UsageError, match="--channel which column"):
            origins(days, log.con, "channel")
        with pytest.raises(UsageError, match="--customers"):
            origins(days, log.con, "country")


def test_a_column_that_names_customers_is_refused() -> None:
    texts = np.array([f"c{k}" for k in range(100)], dtype=object)
    with pytest.raises(UsageError, match="100 of its 100 values"):
        group_by(texts, "mail", np.ones(100, dtype=bool))


def test_many_groups_are_folded_and_their_costs_with_them() -> None:
    texts = np.array([f"g{k // 3:03d}" for k in range(3 * 60)], dtype=object)
    groups = group_by(texts, "campaign", np.ones(180, dtype=bool))
    assert len(groups.names) == MOST_GROUPS + 1
    assert groups.names[-1] == "(others)"
    buyers = Buyers(
        AS_OF,
        PurchaseDays(*(np.zeros(0, dtype=t) for t in (int, int, float, int))),  # type: ignore[arg-type]
        np.full(180, START),
    )
    day = START // DAY
    result = channel_table(groups, buyers, Costs((Cost("g059", day, day + 1, 8.0),)))
    assert result.rows[-1].cost == 8.0
    assert result.rows[-1].people == 30
