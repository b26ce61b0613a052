"""The effects of keeping and winning back over closed plans."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from stagecast.features.errors import NotEnoughDataError
from stagecast.serving.store.plan_tables import readouts
from stagecast.serving.targeting.learned.effects import (
    FEWEST_PER_ARM,
    LearnedEffect,
    LearnedEffects,
    learned_effects,
    require_learned,
)
from stagecast.serving.targeting.learned.terms import with_default_effects
from stagecast.serving.targeting.plan.terms import Effects, Terms
from stagecast.serving.targeting.trial.intervals import Interval
from tests.serving import published
from tests.serving.targeting.learned.made import AS_OF, add_closed, drawn


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    store = published.open_store(tmp_path)
    yield store.engine
    store.close()


def halves(n: int, contacted: int, held_out: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two arms of n customers, of whom so many bought."""
    arm = np.arange(2 * n) < n
    bought = np.r_[np.arange(n) < contacted, np.arange(n) < held_out]
    return arm, bought


def test_the_effect_is_the_one_worked_out_by_hand(engine: sa.Engine) -> None:
    # 30 and 20 of 50 bought, and half would have: (.6 - .4) / .5
    add_closed(engine, "a", *halves(50, 30, 20), expected=0.5)
    learned = learned_effects(engine)
    assert learned is not None
    assert learned.keep is not None
    assert learned.keep.mean.estimate == pytest.approx(0.4)
    # Neyman's standard error: sqrt(2 x .6 x .4 / 49) / .5
    half = (learned.keep.mean.high - learned.keep.mean.low) / 2
    assert half == pytest.approx(1.98 * np.sqrt(2 * 0.24 / 49) / 0.5, rel=0.02)
    assert (learned.plans, learned.keep.customers, learned.win_back) == (1, 100, None)
    assert learned.sentence.startswith("learned from 1 plan: a contact keeps 40.0 % of those who ")
    assert "nothing is known of winning back, which is assumed" in learned.sentence


def test_the_active_and_the_lapsed_are_learned_from_apart(engine: sa.Engine) -> None:
    arm, bought = halves(60, 36, 24)
    back = halves(60, 9, 3)[1]
    add_closed(
        engine,
        "a",
        np.r_[arm, arm],
        np.r_[bought, back],
        state=["active"] * 120 + ["lapsed"] * 120,
        expected=np.repeat([0.5, 0.1], 120),
    )
    learned = learned_effects(engine)
    assert learned is not None
    assert learned.keep is not None
    assert learned.win_back is not None
    assert learned.keep.mean.estimate == pytest.approx(0.2 / 0.5)
    assert learned.win_back.mean.estimate == pytest.approx(0.1 / 0.9)


@pytest.mark.slow
def test_the_effect_of_simulated_plans_is_recovered(tmp_path: Path) -> None:
    truth, estimates, covered = 0.15, [], []
    for draw in range(20):
        folder = tmp_path / str(draw)
        folder.mkdir()
        store = published.open_store(folder)
        for k in range(3):
            contacted, bought, expected = drawn(1500, truth, 100 * draw + k)
            add_closed(store.engine, f"p{k}", contacted, bought, expected=expected)
        learned = learned_effects(store.engine)
        store.close()
        assert learned is not None
        assert learned.keep is not None
        assert learned.keep.plans == 3
        estimates.append(learned.keep.mean.estimate)
        covered.append(learned.keep.mean.low <= truth <= learned.keep.mean.high)
    # the standard error of one plan is about .04, of the mean of 60 plans .005
    assert np.mean(estimates) == pytest.approx(truth, abs=0.016)
    assert np.mean(covered) >= 0.8


def test_too_few_customers_teach_nothing_and_the_message_says_so(engine: sa.Engine) -> None:
    few = FEWEST_PER_ARM - 1
    add_closed(engine, "few", *halves(few, 10, 5))
    add_closed(engine, "equal", *halves(50, 0, 0))
    add_closed(engine, "sent", *halves(50, 30, 20), plan_state="sent")
    add_closed(engine, "nobody", np.zeros(0), np.zeros(0))
    add_closed(engine, "prospects", *halves(50, 30, 20), state="prospect")
    add_closed(engine, "loyal", *halves(50, 50, 49), expected=1.0)
    assert learned_effects(engine) is None
    with pytest.raises(NotEnoughDataError, match="no closed plan has 20 contacted and 20 held-out"):
        require_learned(engine)
    add_closed(engine, "enough", *halves(few + 1, 10, 5))
    learned = learned_effects(engine)
    assert learned is not None
    assert learned.plans == 1


def test_contracts_say_nothing_of_orders(engine: sa.Engine) -> None:
    add_closed(engine, "a", *halves(50, 30, 20), churn="cancellation")
    assert learned_effects(engine) is None
    assert learned_effects(engine, contracts=True) is not None


def test_a_standing_hold_out_is_stated(engine: sa.Engine) -> None:
    for name in ("a", "b"):
        add_closed(engine, name, *halves(50, 30, 20), standing=True)
    learned = learned_effects(engine)
    assert learned is not None
    assert "2 of the plans held out the same customers" in learned.sentence


def test_a_harmful_contact_counts_as_nothing_and_the_words_say_it(engine: sa.Engine) -> None:
    add_closed(engine, "a", *halves(50, 20, 25))
    learned = learned_effects(engine)
    assert learned is not None
    assert learned.keep is not None
    assert learned.keep.mean.estimate == pytest.approx(-0.2)
    assert learned.effects(Effects()).keep == 0.0
    assert "which a plan uses as 0 %" in learned.source
    assert "0 is inside the interval" in learned.source


def test_a_stated_effect_is_used_instead_of_the_learned_one() -> None:
    keep = LearnedEffect(2, 200, Interval(0.03, 0.01, 0.05))
    learned = LearnedEffects(2, keep, None, ())
    assert learned.effects(Effects()).keep == 0.03
    assert learned.effects(Effects()).win_back is None
    stated = learned.effects(Effects(keep=0.2))
    assert stated.keep == 0.2
    assert stated.source.endswith("keeping is stated as 20.0 %")


@given(st.floats(-3, 3), st.floats(0, 3), st.floats(0, 3))
def test_a_plan_can_use_every_learned_effect(estimate: float, down: float, up: float) -> None:
    effect = LearnedEffect(1, 40, Interval(estimate, estimate - down, estimate + up))
    effects = LearnedEffects(1, effect, effect, ()).effects(Effects())
    assert effects.keep == effects.win_back == effect.share
    assert 0 <= effect.share <= 1
    assert effect.may_be_nothing == ("may do nothing" in effect.words("keeps", "who would leave"))


def test_the_next_plan_takes_what_was_learned_without_being_asked(tmp_path: Path) -> None:
    store = published.open_store(tmp_path, published.scores(40))
    run = store.current_run()
    assert run is not None
    assert with_default_effects(store.engine, run, Terms()) == Terms()
    add_closed(store.engine, "a", *halves(50, 30, 20), expected=0.5)
    with store.engine.begin() as connection:
        connection.execute(
            readouts.insert().values(
                plan_id=1, read_at=AS_OF, data_until=AS_OF, closed=True, result={}
            )
        )
    effects = with_default_effects(store.engine, run, Terms()).effects
    # (30 - 20) of 50 more buy, of the half who would not
    assert effects.keep == pytest.approx(0.4)
    assert effects.win_back is None
    assert effects.source.startswith("1 plan: ")
    stated = Terms(effects=Effects(0.1, 0.1))
    assert with_default_effects(store.engine, run, stated) == stated
    store.close()
