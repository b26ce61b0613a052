"""Effects on the next stage: by hand, shrunk, and recovered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.errors import DataRefusedError, UsageError
from stagecast.training.uplift.next_stage import next_stage_effects
from tests.profiles import examples

STAGES = ("loyal", "at_risk", "gone")


def test_one_play_by_hand() -> None:
    # 3 of 4 contacted are loyal, 1 of 4 left alone is
    stage = ["loyal"] * 3 + ["gone"] + ["loyal"] + ["gone"] * 3
    (only,) = next_stage_effects(["call"] * 8, stage, [1] * 4 + [0] * 4, 0.5, STAGES)
    values = {name: e.value for name, e in only.raw.items()}
    assert values == pytest.approx({"loyal": 0.5, "at_risk": 0.0, "gone": -0.5})
    # one play is the whole
    assert {n: e.value for n, e in only.effect.items()} == pytest.approx(values)
    # both shares of 4 are drawn to 1/2 by one customer: (4 * .75 + .5) / 5 = .7, .7 * .3 / 4 * 2
    assert only.raw["loyal"].standard_error == pytest.approx(np.sqrt(0.105))
    assert (only.contacted, only.alone) == (4, 4)


def test_unequal_propensities_are_weighted() -> None:
    # of those contacted with .8, all are loyal anyway; with .2, none is
    stage = ["loyal"] * 10 + ["gone"] * 10
    contacted = [1] * 8 + [0] * 2 + [1] * 2 + [0] * 8
    e = np.repeat([0.8, 0.2], 10)
    (only,) = next_stage_effects(["call"] * 20, stage, contacted, e, STAGES)
    assert only.raw["loyal"].value == pytest.approx(0.0, abs=1e-12)


def simulated(effects: list[float], n: int, seed: int) -> tuple[list[str], list[str], list[int]]:
    random = np.random.default_rng(seed)
    play, stage, contacted = [], [], []
    for k, effect in enumerate(effects):
        w = random.integers(0, 2, n)
        u = random.uniform(size=n)
        loyal = 0.4 + effect * w
        play += [f"p{k:02d}"] * n
        stage += np.select([u < loyal, u < 0.8], ["loyal", "at_risk"], "gone").tolist()
        contacted += w.tolist()
    return play, stage, contacted


def test_plays_that_differ_by_chance_are_drawn_together() -> None:
    rows = next_stage_effects(*simulated([0.1] * 20, 100, 1), 0.5, STAGES)
    shrunk = np.array([r.effect["loyal"].value for r in rows])
    raw = np.array([r.raw["loyal"].value for r in rows])
    assert np.abs(shrunk - 0.1).mean() < 0.5 * np.abs(raw - 0.1).mean()
    assert max(r.weight for r in rows) < 0.5


def test_plays_that_differ_go_on_differing() -> None:
    effects = [-0.2, 0.0, 0.2, 0.3]
    rows = next_stage_effects(*simulated(effects, 3000, 2), 0.5, STAGES)
    shrunk = [r.effect["loyal"].value for r in rows]
    assert shrunk == pytest.approx(effects, abs=0.08)
    assert min(r.weight for r in rows) > 0.9


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(4)
    inside = []
    for seed in range(25):
        effects = random.normal(0.05, 0.08, 12).tolist()
        rows = next_stage_effects(*simulated(effects, 200, 10 + seed), 0.5, STAGES)
        for row, true in zip(rows, effects, strict=True):
            truths = {"loyal": true, "at_risk": -true, "gone": 0.0}
            inside += [e.low < truths[name] < e.high for name, e in row.effect.items()]
    assert 0.9 <= np.mean(inside) <= 0.99


CUSTOMERS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(STAGES), st.booleans()), min_size=1
)


@given(CUSTOMERS)
@settings(max_examples=examples(100))
def test_the_effects_on_all_stages_add_up_to_zero(
    customers: list[tuple[str, str, bool]],
) -> None:
    play, stage, contacted = map(list, zip(*customers, strict=True))
    try:
        rows = next_stage_effects(play, stage, contacted, 0.3, STAGES)
    except DataRefusedError:
        arms = {(p, w) for p, _, w in customers}
        assert not any({(p, True), (p, False)} <= arms for p in "abc")
        return
    for row in rows:
        assert sum(e.value for e in row.effect.values()) == pytest.approx(0.0, abs=1e-9)
        assert all(e.standard_error >= 0 for e in row.effect.values())
        assert 0 <= row.weight <= 1


def test_a_play_without_a_hold_out_has_the_effect_of_the_whole() -> None:
    play, stage, contacted = simulated([0.1, 0.2], 500, 3)
    rows = next_stage_effects([*play, "p99"], [*stage, "gone"], [*contacted, 1], 0.5, STAGES)
    assert rows[2].raw == {}
    assert rows[2].weight == 0
    assert 0.05 < rows[2].effect["loyal"].value < 0.25
    assert rows[2].effect["loyal"].standard_error > rows[0].effect["loyal"].standard_error / 2


def test_wrong_use_is_refused() -> None:
    with pytest.raises(UsageError, match="'lost' is no stage"):
        next_stage_effects(["a"], ["lost"], [1], 0.5, STAGES)
    with pytest.raises(UsageError, match="do not belong together"):
        next_stage_effects(["a"], ["gone", "gone"], [1], 0.5, STAGES)
    with pytest.raises(UsageError, match="strictly between 0 and 1"):
        next_stage_effects(["a"], ["gone"], [1], 1.0, STAGES)
    with pytest.raises(DataRefusedError, match="hold-out"):
        next_stage_effects(["a"], ["gone"], [1], 0.5, STAGES)
