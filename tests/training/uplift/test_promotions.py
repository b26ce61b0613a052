"""Rules followed by customers whose effects are known, on a small promotion."""

from __future__ import annotations

import numpy as np
import pytest

from bench.promotions import MARGIN, World, follow, promotion

SMALL = {
    "differs, everybody loses": World(0.03, 0.012, 1.0),
    "same for all, loses": World(0.03, 0.005, 0.0),
    "same for all, gains": World(0.03, 0.03, 0.0),
}
CUSTOMERS = 12_000


def test_the_promotion_has_the_effects_that_it_states() -> None:
    trial, effect = promotion(World(0.1, 0.1, 1.0), 40_000, 1)
    w, e = trial.contacted, trial.propensity
    g = trial.y * (w / e - ~w / (1 - e))
    high = trial.X[:, 0] == 1
    assert np.unique(effect).tolist() == pytest.approx([0.1 / 3, 0.3])
    assert g[high].mean() == pytest.approx(0.3, abs=0.03)
    assert g[~high].mean() == pytest.approx(0.1 / 3, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [next(iter(SMALL)), *(pytest.param(name, marks=pytest.mark.long) for name in list(SMALL)[1:])],
)
def test_the_choice_is_not_behind_everybody_nobody_and_the_natural_line(name: str) -> None:
    # the margin grows as the standard error of a trial with fewer customers
    margin = MARGIN * np.sqrt(84_534 / CUSTOMERS)
    behind = [follow(SMALL[name], CUSTOMERS, seed, ["linear"], folds=2) for seed in range(3)]
    assert np.mean([followed.behind for followed in behind]) < margin
    if name == "same for all, gains":
        assert {followed.choice.name for followed in behind} == {"everybody"}
        assert behind[0].choice.reason.startswith("Contact everybody: ")
    if name == "same for all, loses":
        assert {followed.choice.name for followed in behind} == {"nobody"}
        assert behind[0].choice.line is None
    if name == "differs, everybody loses":
        assert np.mean([followed.chosen for followed in behind]) > 0
