"""What is proposed for a table: columns by name and value, doubts, and nothing that is made up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stagecast.features.events import from_frame
from stagecast.features.intake.profiles import profile
from stagecast.features.intake.proposal import Proposal, propose
from stagecast.features.intake.sources import open_frame
from tests.features.intake.exports import EXPORTS


def proposal_of(frame: pd.DataFrame) -> Proposal:
    return propose(profile(open_frame(frame)))


def orders(count: int = 120, day_format: str = "%Y-%m-%d") -> pd.DataFrame:
    """Return orders of forty clients under names of their own."""
    random = np.random.default_rng(2)
    days = pd.Timestamp("2024-01-05") + pd.to_timedelta(random.integers(0, 300, count), unit="D")
    return pd.DataFrame(
        {
            "Invoice": [f"I{k}" for k in range(count)],
            "Client ID": [f"k{k % 40}" for k in range(count)],
            "Date of birth": "1980-02-03",
            "Phone": [f"{4_915_000_000 + k}" for k in range(count)],
            "Order Date": days.strftime(day_format),
            "Quantity": random.integers(1, 9, count).astype(str),
            "Unit price": np.round(random.gamma(2, 10, count), 2).astype(str),
            "Currency": "EUR",
        }
    )


def test_columns_are_proposed_by_name_and_value() -> None:
    assert proposal_of(orders()).options() == {
        "customer": "Client ID",
        "time": "Order Date",
        "amount": 'Quantity * "Unit price"',
        "currency": "Currency",
    }


@pytest.mark.parametrize("day_format", ["%d.%m.%Y", "%m/%d/%Y", "%Y%m%d", "%b %d, %Y"])
def test_the_format_of_the_times_is_proposed(day_format: str) -> None:
    proposal = proposal_of(orders(day_format=day_format))
    assert proposal.options()["time-format"] == day_format
    assert proposal.doubts == ()


def test_a_format_that_two_orders_fit_is_a_doubt() -> None:
    frame = orders(30).assign(**{"Order Date": "05/06/2024"})
    proposal = proposal_of(frame)
    assert any("which number is the day" in doubt for doubt in proposal.doubts)


def test_what_cannot_be_known_is_asked() -> None:
    frame = pd.DataFrame({"x": ["a", "b"], "y": ["c", "d"]})
    proposal = proposal_of(frame)
    assert not proposal.is_complete
    assert proposal.choices == ()
    assert [doubt.partition("(")[0] for doubt in proposal.doubts] == [
        "which column names the customer ",
        "which column holds the time of the event ",
    ]


def test_dates_in_three_columns_are_a_doubt_with_the_expression() -> None:
    frame = orders(30).drop(columns=["Order Date", "Date of birth"])
    proposal = proposal_of(frame.assign(Year="2024", Month="2", Day="3"))
    assert any("Year || '-' || Month" in doubt for doubt in proposal.doubts)


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_of_a_vendor_gets_its_preset(name: str) -> None:
    proposal = proposal_of(EXPORTS[name]().frame)
    assert proposal.options() == {"preset": name}


@pytest.mark.parametrize("change", [str.lower, str.upper])
@pytest.mark.parametrize("name", ["shopify", "stripe", "hubspot"])
def test_an_export_with_other_capitals_is_read_by_hand_and_named(name: str, change) -> None:
    proposal = proposal_of(EXPORTS[name]().frame.rename(columns=change))
    assert proposal.preset is None
    assert proposal.is_complete
    assert f"--preset {name}" in proposal.doubts[0]


def test_an_export_without_a_customer_gets_no_preset() -> None:
    proposal = proposal_of(EXPORTS["hubspot"]().frame.drop(columns=["Associated Company"]))
    assert (proposal.preset, proposal.is_complete) == (None, False)


def test_a_table_with_a_row_per_customer_is_no_log() -> None:
    frame = pd.DataFrame(
        {
            "customerID": [f"k{k}" for k in range(50)],
            "tenure": [str(k) for k in range(50)],
            "Churn": ["Yes", "No"] * 25,
        }
    )
    proposal = proposal_of(frame)
    assert not proposal.is_complete
    assert any("is this a log of events?" in doubt for doubt in proposal.doubts)
    assert any("--customers FILE" in doubt for doubt in proposal.doubts)


def test_a_log_in_which_nobody_has_a_second_event_is_asked_for() -> None:
    days = pd.date_range("2024-01-01", periods=30).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"customer_id": [f"k{k}" for k in range(30)], "timestamp": days})
    with from_frame(frame) as log:
        (warning,) = log.report.warnings
    assert warning.startswith("is this a log of events? Each of its 30 events")
    with from_frame(pd.concat([frame, frame.head(1).assign(timestamp="2024-05-05")])) as log:
        assert log.report.warnings == []
    with from_frame(frame.head(19)) as log:
        assert log.report.warnings == []
