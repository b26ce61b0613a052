"""Charts show the numbers that they are made from, and compile to Vega without a warning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import vl_convert

from stagecast.features.demo import cdnow_sample_frame
from stagecast.features.errors import UsageError
from stagecast.training import plot
from stagecast.training.fitted.evaluation import EvaluationReport
from tests.training.customer_base.made import WEEK, bg_nbd, cdnow


def rows(chart: Any, *place: Any) -> pd.DataFrame:
    """Return the data of a part of a chart, such as ``"vconcat", 0, "layer", 1``.

    Altair moves what several layers share to what holds them, and all values to the top.
    """
    part = chart.to_dict()
    datasets, data = part["datasets"], part.get("data")
    for key in place:
        part = part[key]
        if isinstance(part, dict):
            data = part.get("data", data)
    return pd.DataFrame(datasets[data["name"]])


def drawn(chart: Any) -> Any:
    """Return the chart; Vega-Lite has compiled it to marks."""
    assert vl_convert.vegalite_to_vega(chart.to_json())["marks"]
    return chart


def test_the_heat_maps_show_the_models_numbers() -> None:
    alive = rows(drawn(plot.alive_matrix(bg_nbd(), T=39, max_frequency=12)))
    assert alive["x"].max() == 12
    cell = alive[alive["x"] == 9].iloc[-1]
    customer = {"frequency": [9.0], "recency": [cell["recency"]], "T": [39.0]}
    assert cell["value"] == pytest.approx(bg_nbd().p_alive(customer)[0])
    # a customer who bought on 12 more days was here for as many
    assert (alive["x"] <= np.ceil(alive["high"] * WEEK)).all()
    ahead = rows(drawn(plot.frequency_recency(bg_nbd(), "30d", T=39, max_frequency=12)))
    cell = ahead[ahead["x"] == 9].iloc[-1]
    assert cell["value"] == pytest.approx(bg_nbd().expected_purchases(customer, "30d")[0])


def test_a_customers_line_ends_at_the_models_number_and_reads_no_later_purchase() -> None:
    log, best = cdnow_sample_frame(), cdnow()["frequency"].idxmax()
    until = drawn(plot.customer(bg_nbd(), log, "1997-10-01", customer_id=best))
    line = rows(until, "layer", 0)
    own = cdnow().loc[[best]].assign(T_days=lambda t: t["T_days"] + 1.0)
    assert line["p_alive"].iloc[-1] == pytest.approx(bg_nbd().p_alive(own).item())
    assert len(rows(until, "layer", 2)) == own["frequency"].item() + 1
    # half of the purchases taken away: the line up to then is the same
    days = np.sort(log.loc[log["customer_id"] == best, "timestamp"].unique())
    half = days[: len(days) // 2]
    cut = rows(plot.customer(bg_nbd(), half, pd.Timestamp(half[-1])), "layer", 0)
    both = np.interp(cut["date"], line["date"], line["p_alive"])
    assert np.abs(both - cut["p_alive"]).mean() < 0.02
    with pytest.raises(UsageError, match="several customers; say which by customer_id="):
        plot.customer(bg_nbd(), log)
    with pytest.raises(UsageError, match="customer_id 'nobody' has no purchase before 1998-07-01"):
        plot.customer(bg_nbd(), log, customer_id="nobody")


def test_calibration_shows_the_share_of_each_group_with_its_interval() -> None:
    p = np.repeat([0.2, 0.5, 0.9], 10)
    happened = np.r_[np.arange(10) < 1, np.arange(10) < 5, np.arange(10) < 9]
    groups = rows(drawn(plot.calibration(happened, p, bins=5)), "vconcat", 0, "layer", 2)
    assert groups["predicted"].tolist() == pytest.approx([0.2, 0.5, 0.9])
    assert groups["happened"].tolist() == [0.1, 0.5, 0.9]
    assert groups["customers"].tolist() == [10, 10, 10]
    # 5 of 10 by Wilson (1927): 0.2366 to 0.7634
    assert groups.loc[1, ["low", "high"]].tolist() == pytest.approx([0.2366, 0.7634], abs=5e-5)
    several = drawn(plot.calibration(happened, {"ours": p, "theirs": np.full(30, 0.5)}))
    assert rows(several, "vconcat", 0, "layer", 2)["model"].unique().tolist() == ["ours", "theirs"]
    title = several.to_dict()["title"]["subtitle"]
    assert title[1] == "theirs: log loss 0.6931, Brier score 0.2500, mean 50.0% against 50.0%"
    for y, wrong, message in (
        (["a"] * 30, p, "y_true must be one outcome per customer, 0 or 1"),
        (happened, p[:3], r"p has shape \(3,\) and y_true \(30,\)"),
        (happened, p + 0.5, "p holds 1.4 at position 20; probabilities are within 0 to 1"),
    ):
        with pytest.raises(UsageError, match=message):
            plot.calibration(y, wrong)


def test_calibration_draws_the_evaluation_of_a_model() -> None:
    tenths = [{"predicted": 0.2, "observed": 0.1, "customers": 10}] * 2
    ours = {"log_loss": 0.5, "brier": 0.1}
    evaluation = {"calibration": tenths, "models": [ours], "customers": 20}
    span = {"as_of": "2024-01-01T00:00:00Z", "until": "2024-03-31T00:00:00Z"}
    report = EvaluationReport({**evaluation, **span})
    chart = drawn(plot.calibration(report))
    groups = rows(chart, "vconcat", 0, "layer", 2)
    assert groups["happened"].tolist() == [0.1, 0.1]
    # 1 of 10 by Wilson (1927): 0.0179 to 0.4042
    assert groups.loc[0, ["low", "high"]].tolist() == pytest.approx([0.0179, 0.4042], abs=5e-5)
    assert "outcomes of 2024-01-01 to 2024-03-31" in chart.to_dict()["title"]["subtitle"][0]
    for wrong, message in (
        (EvaluationReport(None), "no evaluation to draw"),
        ([0, 1], "p is missing"),
    ):
        with pytest.raises(UsageError, match=message):
            plot.calibration(wrong)


def test_a_chart_of_purchases_says_which_model_it_needs() -> None:
    for draw in (plot.alive_matrix, lambda m: plot.customer(m, ["2024-01-01"])):
        with pytest.raises(UsageError, match=r"object is no model of purchases; fit one"):
            draw(object())  # type: ignore[arg-type]


def test_tracking_adds_up_what_it_is_handed() -> None:
    table = pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=4, freq="7D"),
            "actual": [1.0, 2.0, 3.0, 4.0],
            "expected": [2.0, 2.0, 2.0, 2.0],
            "held_out": [False, False, True, True],
        }
    )
    chart = drawn(plot.tracking(table))
    lines = rows(chart, "vconcat", 0, "layer", 0)
    assert lines.loc[lines["series"] == "actual", "value"].tolist() == [1.0, 3.0, 6.0, 10.0]
    split = rows(chart, "vconcat", 0, "layer", 1)["date"].item()
    assert pd.Timestamp(split, unit="ms") == pd.Timestamp("2024-01-08")
    assert chart.to_dict()["title"]["subtitle"] == [
        "fitted: 4 expected, 3 actual; held out: 4 expected, 7 actual"
    ]
    of_model = drawn(plot.tracking(bg_nbd(), cdnow_sample_frame(), "1997-10-01"))
    assert "1,882 actual" in of_model.to_dict()["title"]["subtitle"][0]
    with pytest.raises(UsageError, match="with a model, tracking needs the log"):
        plot.tracking(bg_nbd())
    with pytest.raises(UsageError, match="table lacks expected; it has date, actual"):
        plot.tracking(table.drop(columns="expected"))


def test_the_hold_out_is_shown_by_frequency() -> None:
    chart = drawn(plot.holdout([0, 0, 1, 9, 12], [1, 3, 4, 5, 7], [2, 2, 2, 6, 6]))
    means = rows(chart, "layer", 0)
    assert means["frequency"].tolist() == ["0", "1", "7+"]
    assert means["actual"].tolist() == [2.0, 4.0, 6.0]
    assert means["expected"].tolist() == [2.0, 2.0, 6.0]
    assert means["low"].tolist() == pytest.approx([0.04, 4.0, 4.04], abs=1e-3)
    with pytest.raises(UsageError, match="give one number per customer in each"):
        plot.holdout([0, 1], [1], [1, 2])


def test_stages_and_flows_are_counted() -> None:
    of_dates = pd.DataFrame({"as_of": ["2024-01-01"] * 3, "stage": ["new", "new", "lost"]})
    assert rows(drawn(plot.stages(of_dates)))["customers"].tolist() == [2, 1]
    pairs = pd.DataFrame({"from": ["new", "new", "lost"], "to": ["new", "lost", "lost"]})
    by_row = rows(drawn(plot.flows(pairs)), "layer", 0)
    assert by_row["share"].tolist() == [0.5, 0.5, 1.0]
    square = pd.DataFrame([[1, 1], [0, 1]], index=["new", "lost"], columns=["new", "lost"])
    matrix = rows(drawn(plot.flows(square)), "layer", 0).set_index(["from", "to"])["share"]
    assert matrix[("new", "lost")] == 0.5
    assert matrix[("lost", "new")] == 0.0
    with pytest.raises(
        UsageError, match="table lacks from, to; it has period_end, stage, customers"
    ):
        plot.flows(pd.DataFrame({"period_end": ["a"], "stage": ["new"], "customers": [1]}))
    with pytest.raises(UsageError, match="table lacks stage; it has as_of"):
        plot.stages(of_dates[["as_of"]])


def test_an_order_names_every_stage_of_the_table_once() -> None:
    of_dates = pd.DataFrame({"as_of": ["2024-01-01"] * 2, "stage": ["new", "lost"]})
    pairs = pd.DataFrame({"from": ["new"], "to": ["lost"]})
    for draw, table in ((plot.stages, of_dates), (plot.flows, pairs)):
        draw(table, order=["loyal", "lost", "new"])  # a scheme has stages that nobody is on
        for order, message in (
            (["new", "lots"], r"order = \['new', 'lots'\] lacks lost\. Did you mean 'lots'\? Give"),
            ("new", r"order = 'new' lacks lost\. Give all stages .* like \['new', 'lost'\]"),
            (["new", "lost", "new"], "holds new twice"),
            (3, "order = 3 cannot be used; give all stages"),
        ):
            with pytest.raises(UsageError, match=message):
                draw(table, order=order)  # type: ignore[arg-type]
