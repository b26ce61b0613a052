"""The climb from what is known without a ranking."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.features.arrays import Array
from stagecast.training.uplift.estimate import Estimate
from stagecast.training.uplift.ladder import Judged, Rung, climb, judge, nearest

N = 400
GOOD = np.arange(N) % 4 == 0
"""The quarter whom it pays to contact."""
NO_QINI = Estimate(0.0, 1.0)


def net_of(good: float, others: float, noise: float = 1.0) -> Array:
    """Return the net gain of each customer; the noise has the mean 0 in both groups."""
    return np.where(GOOD, good, others) + noise * np.where(np.arange(N) % 8 < 4, 1.0, -1.0)


def ends(
    net: Array, rules: dict[str, Array], groups: dict[str, str], *, at_depth: bool
) -> tuple[Rung, list[Judged]]:
    p = {name: np.asarray(rule, dtype=np.float64) for name, rule in rules.items()}
    customer = np.arange(N)
    judged = [judge(name, groups[name], p[name], net, NO_QINI, customer) for name in p]
    return climb(judged, p, net, customer, at_depth=at_depth), judged


GROUP = {"own": "ranking", "second": "ranking", "response": "response", "T": "uplift"}


def test_a_callers_ranking_that_is_worse_than_random_does_not_hide_another() -> None:
    # 'T' is no better than 'own' could be told from, if the climb started there
    wrong = np.arange(N) % 4 == 1
    for group in ("second", "response", "T"):
        rung, _ = ends(net_of(3, 0), {"own": wrong, group: GOOD}, GROUP, at_depth=True)
        assert rung.name == group
        assert rung.steps == ""


def test_a_ranking_that_is_not_surely_better_does_not_hide_a_sure_one_of_its_group() -> None:
    net = net_of(3.0, 0.0, 0.5)
    wild = np.arange(N) % 4 == 3
    net[wild] += 3.4 + 18.0 * np.where(np.arange(wild.sum()) % 2, 1.0, -1.0)
    rung, judged = ends(net, {"own": GOOD, "second": wild}, GROUP, at_depth=True)
    own, second = judged
    assert second.gain.value > own.gain.value
    assert second.over_random.value < 1.645 * second.over_random.standard_error
    assert rung.name == "own"


def test_the_simpler_stays_where_the_other_is_not_better_by_one_standard_error() -> None:
    same = GOOD.copy()
    same[0], same[1] = False, True
    other = GOOD & (np.arange(N) >= 40)
    other[1:40:4] = True
    rung, _ = ends(net_of(3, 0), {"own": GOOD, "T": same}, GROUP, at_depth=True)
    assert rung.name == "own"
    assert "which is not more than one standard error" in rung.steps
    rung, _ = ends(net_of(3, 0), {"own": other, "T": GOOD}, GROUP, at_depth=True)
    assert rung.name == "T"


@pytest.mark.parametrize(
    ("good", "others", "rule", "name"),
    [
        (2.0, -1.0, GOOD, "own"),
        (2.0, -1.0, ~GOOD, "nobody"),
        (-1.0, -1.0, GOOD, "nobody"),
        (1.0, 1.0, GOOD, "everybody"),
        # everybody pays, and to leave out the others pays more
        (6.0, -1.0, GOOD, "own"),
        # the rule contacts nobody, or everybody: it is not better than that
        (1.0, 1.0, np.ones(N), "everybody"),
        (-1.0, -1.0, np.zeros(N), "nobody"),
        # better than nobody, and not better than everybody
        (1.0, 1.0, np.arange(N) % 10 > 0, "everybody"),
    ],
)
def test_a_rule_is_used_only_where_it_beats_nobody_and_everybody(
    good: float, others: float, rule: Array, name: str
) -> None:
    rung, _ = ends(net_of(good, others), {"own": rule}, GROUP, at_depth=False)
    assert rung.name == name


def test_the_figures_of_a_rule_are_those_worked_out_by_hand() -> None:
    net = np.array([4.0, 0.0, -2.0, -6.0])
    figures = judge("T", "uplift", np.array([1.0, 1.0, 0.0, 0.0]), net, NO_QINI, np.arange(4))
    assert figures.contacted == 0.5
    # gains 4, 0, 0, 0; the standard error of their mean is their standard deviation over 2
    assert (figures.gain.value, figures.gain.standard_error) == (1.0, pytest.approx(1.0))
    assert figures.over_random.value == pytest.approx(1.0 + 0.5)
    assert figures.over_everybody.value == pytest.approx((2 + 6) / 4)


def test_without_rankings_the_start_is_the_answer() -> None:
    assert climb([], {}, net_of(1, 1), np.arange(N), at_depth=True).name == "random"
    assert climb([], {}, net_of(1, 1), np.arange(N), at_depth=False).name == "everybody"
    assert climb([], {}, net_of(-1, -1), np.arange(N), at_depth=False).name == "nobody"
    assert nearest([], at_depth=True) is None


@given(
    net=st.lists(st.floats(-5, 5, allow_nan=False), min_size=12, max_size=12),
    rules=st.lists(st.lists(st.booleans(), min_size=12, max_size=12), min_size=1, max_size=3),
)
def test_the_answer_is_never_behind_nobody_on_the_customers_it_was_judged_on(
    net: list[float], rules: list[list[bool]]
) -> None:
    gains, customer = np.array(net), np.arange(12)
    names = ("own", "response", "T")
    p = {name: np.array(rule, dtype=np.float64) for name, rule in zip(names, rules, strict=False)}
    judged = [judge(name, GROUP[name], p[name], gains, NO_QINI, customer) for name in p]
    answer = climb(judged, p, gains, customer, at_depth=False).name
    chosen = {"nobody": np.zeros(12), "everybody": np.ones(12), **p}[answer]
    assert (chosen * gains).mean() >= -1e-12
    if answer in p:
        assert (chosen * gains).mean() > gains.mean()
