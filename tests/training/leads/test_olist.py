"""Leads of a real funnel, out of time: 8,000 of Olist's with 842 deals; see :mod:`bench.leads`."""

from __future__ import annotations

import pytest

from bench.leads import DEALS, FOLDER, LEADS, means, results

pytestmark = pytest.mark.skipif(
    not all((FOLDER / name).is_file() for name in (LEADS, DEALS)),
    reason=f"Olist's funnel is not in {FOLDER} (Kaggle: olistbr/marketing-funnel-olist)",
)


Figures = dict[tuple[str, str], dict[str, float]]


@pytest.fixture(scope="module")
def figures() -> Figures:
    return means(results())


def test_later_leads_are_ranked(figures: Figures) -> None:
    # two columns of fixed categories reach .65 to .71 by cross-validation within the months
    # themselves
    assert figures["later", "hazard"]["auc"] > 0.67


def test_open_leads_are_ranked_better_than_without_their_age(figures: Figures) -> None:
    assert figures["open", "hazard"]["auc"] > figures["open", "naive"]["auc"] + 0.05


@pytest.mark.parametrize("leads", ["later", "open"])
def test_probabilities_are_better_than_the_share_that_came(figures: Figures, leads: str) -> None:
    ours = figures[leads, "hazard"]
    assert ours["log_loss"] < ours["base_log_loss"] - 0.005
    assert ours["mean_p"] == pytest.approx(ours["share"], rel=0.25)


@pytest.mark.parametrize("leads", ["later", "open"])
def test_the_share_so_far_is_further_off(figures: Figures, leads: str) -> None:
    ours, naive = figures[leads, "hazard"], figures[leads, "naive"]
    assert ours["log_loss"] < naive["log_loss"]
    assert abs(ours["mean_p"] - ours["share"]) < abs(naive["mean_p"] - naive["share"])
