"""How long it takes until something begins: by day with ends, and by hazard without."""

from __future__ import annotations

import numpy as np
import pytest

from stagecast.training.billing.waits import Wait, by_day, by_hazard


def test_trials_of_a_fortnight_begin_on_their_day() -> None:
    # six of ten pay on day 14, three are cancelled on day 5, one has run for 8 days
    waited = np.array([14.0] * 6 + [5.0] * 3 + [8.0])
    begun, over = np.arange(10) < 6, (np.arange(10) >= 6) & (np.arange(10) < 9)
    wait = by_day(waited, begun, over)
    assert wait.ever == pytest.approx(0.7)  # the running one is no failure
    now, all_days = np.array([0.0, 6.0, 14.0]), np.full(3, 30.0)
    np.testing.assert_allclose(
        wait.begins(now, all_days), [0.7 / 1.1, 0.7 / 0.8, 0.7 / 0.8], rtol=1e-9
    )
    np.testing.assert_allclose(wait.begins(now, np.array([13.0, 8.0, 0.5])), [0, 0, 0.4375])
    # nobody has waited for longer and paid
    assert wait.begins(np.array([20.0]), np.array([365.0])) == 0.0
    assert Wait.from_json(wait.to_json()) == wait


def test_returns_fall_off_with_the_time_since_the_end() -> None:
    random = np.random.default_rng(5)
    until = np.where(random.random(20_000) < 0.2, 20 + random.exponential(100, 20_000), np.inf)
    seen = random.uniform(0, 1_000, 20_000)
    begun = until < seen
    wait = by_hazard(np.minimum(until, seen), begun)

    def true(now: float, span: float) -> float:
        by_now, later = (1 - np.exp(-max(t - 20, 0) / 100) for t in (now, now + span))
        return float(0.2 * (later - by_now) / (1 - 0.2 * by_now))

    for now, span in ((30.0, 60.0), (120.0, 60.0), (0.0, 365.0)):
        assert wait.begins(np.array([now]), np.array([span]))[0] == pytest.approx(
            true(now, span), rel=0.2
        ), now
    assert wait.begins(np.array([700.0]), np.array([60.0]))[0] < 0.002
    assert Wait.from_json(wait.to_json()) == wait


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_who_is_not_over_begins_at_the_pace_of_all_that_wait(seed: int) -> None:
    """Of a plan for nothing .045 begin to pay each month, and .07 cancel."""
    random = np.random.default_rng(seed)
    begins, ends = (random.geometric(p, 4_000) * 30.0 for p in (0.045, 0.07))
    seen = random.uniform(0.0, 900.0, 4_000)
    until = np.minimum(np.minimum(begins, ends), seen)
    begun, over = (begins <= ends) & (begins <= seen), (ends < begins) & (ends <= seen)
    wait = by_day(until, begun, over)
    waited, within = np.array([1.0, 100.0]), np.array([0.0, 30.0, 365.0])
    if_not_over = wait.begins_unless_over(waited, within)
    assert (if_not_over[:, 0] == 0.0).all()
    assert if_not_over[:, 1] == pytest.approx(0.045, abs=0.015)
    assert if_not_over[:, 2] == pytest.approx(1.0 - 0.955**12, abs=0.05)
    assert (wait.begins(waited, within[-1]) < 0.8 * if_not_over[:, 2]).all()


def test_a_trial_that_is_not_cancelled_pays_at_its_end() -> None:
    until = np.full(100, 14.0)
    wait = by_day(until, np.arange(100) < 60, np.arange(100) >= 60)
    p = wait.begins_unless_over(np.array([0.0, 7.0]), np.array([0.0, 1.0, 7.0, 20.0]))
    np.testing.assert_allclose(p[:, -1], 1.0, atol=0.1)
    assert (p[0, :3] == 0.0).all()
