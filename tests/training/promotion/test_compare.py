"""The comparison on dates that neither saw."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from stagecast.training.bundle import Bundle
from stagecast.training.config import TrainConfig
from stagecast.training.promotion.compare import compare, incomparable, plan_dates
from stagecast.training.promotion.losses import DateLosses
from tests.shared import once
from tests.training.made import Trained, day, frame_of, log_of, simulated_rows, trained

CONFIG = TrainConfig(horizon_days=40, value_horizon_days=80, max_dates=1)
CHAMPION_DAY, DAYS = 200, 300
CHANNELS = ("search", "shop", "search", None)


def test_dates_lie_between_the_champion_and_the_last_horizon() -> None:
    for unseen in (0, 89, 90, 119, 120, 400, 3_000):
        backs = plan_dates(unseen, 90, 5)
        assert len(backs) <= 5
        assert all(90 <= back <= unseen for back in backs)
        assert backs == sorted(set(backs), reverse=True)
        assert all(a - b >= 30 for a, b in itertools.pairwise(backs))


def test_models_that_answer_other_questions_are_not_compared(shop: Trained) -> None:
    assert incomparable(shop.bundle, shop.bundle.models.config, "UTC") is None
    problem = incomparable(shop.bundle, TrainConfig(horizon_days=30), "UTC")
    assert problem is not None
    assert "horizon is 90 days, the challenger's 30 days" in problem
    assert "days is UTC" in str(incomparable(shop.bundle, shop.bundle.models.config, "Asia/Tokyo"))


@pytest.mark.slow
def test_at_its_own_date_the_champion_is_its_procedure_and_nothing_later_is_known(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The challenger's procedure, fitted anew at the champion's as_of, gives the champion itself:
    so it knows nothing that the champion did not.
    """

    def make(folder: Path) -> tuple[Bundle, list[DateLosses]]:
        frame = frame_of(simulated_rows(300, DAYS, seed=2))
        frame["channel"] = frame["customer_id"].map(lambda name: CHANNELS[int(name[1:]) % 4])
        champion = trained(frame, folder / "model", day(CHAMPION_DAY), CONFIG).reloaded()
        with log_of(frame) as log:
            return champion, compare(log.con, day(DAYS), champion, CONFIG, 2)

    champion, (oldest, newest) = once(tmp_path_factory, "compared", make)
    assert oldest.as_of == champion.as_of
    for paired in (oldest.churn, oldest.next_stage, oldest.spend):
        assert paired is not None
        small = 1e-4 * np.abs(paired.challenger).mean()
        np.testing.assert_allclose(paired.champion, paired.challenger, rtol=1e-4, atol=small)
    assert newest.as_of == day(DAYS - CONFIG.horizon_days)
    assert np.abs(newest.churn.difference).max() > 1e-3
    assert newest.clv is not None
    assert len(newest.clv) == len(newest.churn) == len(newest.left)
    assert all(mask.shape == newest.left.shape for mask in newest.segments.values())
    # by the channel of each customer's first event; those without one are in no such segment
    by_channel = {name: mask for name, mask in newest.segments.items() if "channel" in name}
    for name, mask in by_channel.items():
        channels = {CHANNELS[int(c[1:]) % 4] for c in newest.churn.customers[mask]}
        assert {f"channel {channel}" for channel in channels} == {name}
    assert set(by_channel) == {"channel search", "channel shop"}
    without = [CHANNELS[int(c[1:]) % 4] is None for c in newest.churn.customers]
    assert not np.logical_or.reduce([*by_channel.values()])[without].any()
    assert any(without)
