"""The hazard of the first purchase: recovered from censored simulated leads, against a slow
oracle, by hand.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.training.leads.exposure import Exposure, Leads, exposure, leads_of
from stagecast.training.leads.fit_effects import fit_effects, prior_strength
from stagecast.training.leads.fit_hazard import fit_hazard
from stagecast.training.leads.hazard import HazardModel
from tests.profiles import examples
from tests.training.leads.made import EDGES, RATES, constant, share_within, simulated_leads

DAY = 86_400_000_000


def test_the_rates_are_recovered_from_censored_leads() -> None:
    leads = simulated_leads(20_000, seed=1)
    model = fit_hazard(leads, 120.0, {}, edges_days=EDGES, half_life_days=None)
    assert model.edges_days == EDGES
    # some 1,900, 1,100 and 500 conversions: three standard errors
    assert model.rates == pytest.approx(RATES, rel=0.13)
    assert model.rates[0] == pytest.approx(RATES[0], rel=0.07)


def test_the_share_of_leads_so_far_is_biased_and_the_hazard_is_not() -> None:
    leads = simulated_leads(20_000, seed=2)
    true = float(share_within(np.zeros(1), 90.0)[0])
    naive = float((leads.converted < 120.0).mean())
    model = fit_hazard(leads, 120.0, {}, half_life_days=None)
    ours = float(-np.expm1(-model.ahead(np.zeros(1), 90.0))[0])
    assert naive < true - 0.03
    assert ours == pytest.approx(true, abs=0.012)


def test_multipliers_of_categories_are_recovered() -> None:
    random = np.random.default_rng(3)
    names = np.array(["slow", "usual", "fast"], dtype=object)
    chosen = random.integers(0, 3, 20_000)
    leads = simulated_leads(20_000, seed=4, times=np.array([0.5, 1.0, 2.0])[chosen])
    model = fit_hazard(
        leads,
        120.0,
        {"origin": names[chosen], "noise": constant("same", 20_000)},
        half_life_days=None,
    )
    actual = model.effects["origin"]
    assert actual["fast"] / actual["usual"] == pytest.approx(2.0, rel=0.12)
    assert actual["slow"] / actual["usual"] == pytest.approx(0.5, rel=0.15)
    assert model.effects["noise"] == {"same": pytest.approx(1.0)}


def test_a_column_that_says_nothing_is_shrunk_away() -> None:
    random = np.random.default_rng(5)
    values = np.array([f"v{k}" for k in range(300)], dtype=object)[random.integers(0, 300, 6_000)]
    model = fit_hazard(simulated_leads(6_000, seed=6), 120.0, {"page": values}, half_life_days=None)
    assert np.std(np.log(list(model.effects["page"].values()))) < 0.1


def test_a_value_with_few_leads_is_shrunk_more() -> None:
    assert prior_strength(np.array([30.0, 2.0, 15.0]), np.array([10.0, 10.0, 12.0])) < 10
    rare = Leads(
        np.zeros(2_004), np.r_[np.full(4, 1.0), np.full(500, 1.0), np.full(1_500, np.nan)], 0.0
    )
    who = np.r_[np.full(4, "few"), np.full(500, "many"), np.full(1_500, "none")].astype(object)
    actual = fit_hazard(rare, 60.0, {"origin": who}, half_life_days=None).effects["origin"]
    assert actual["none"] < 1 < actual["few"] < actual["many"]


def test_unknown_values_and_columns_count_as_average() -> None:
    model = HazardModel((), (0.01,), {"origin": {"email": 3.0}, "page": {"x": 2.0}})
    report = {"origin": np.array(["email", "never seen", ""], dtype=object)}
    assert model.multiplier(report, 3).tolist() == [3.0, 1.0, 1.0]


def test_cumulative_hazard_by_hand() -> None:
    model = HazardModel((3.0, 7.0), (0.1, 0.01, 0.001), {})
    assert model.cumulative(np.array([0.0, 1.0, 3.0, 5.0, 7.0, 17.0])).tolist() == pytest.approx(
        [0.0, 0.1, 0.3, 0.32, 0.34, 0.35]
    )
    assert model.ahead(np.array([1.0, -5.0, np.nan]), 4.0).tolist() == pytest.approx(
        [0.22, 0.31, 0.31]
    )


@settings(max_examples=examples(50))
@given(
    st.lists(st.tuples(st.integers(-5, 60), st.none() | st.floats(-3, 70)), min_size=1, max_size=12)
)
def test_exposure_is_what_a_count_of_small_steps_gives(
    rows: list[tuple[int, float | None]],
) -> None:
    leads = Leads(
        np.array([float(start) for start, _ in rows]),
        np.array([np.nan if after is None else start + after for start, after in rows]),
        2.0,
    )
    as_of, edges, half_life = 50.0, (3.0, 10.0), 20.0
    observed = exposure(leads, as_of, edges, half_life)
    step = 0.01
    for k, (start, after) in enumerate(rows):
        ends = min(as_of, np.inf if after is None else start + after)
        at = (
            np.arange(max(start, 2.0), ends, step) + step / 2
            if after is None or after > 0
            else np.zeros(0)
        )
        at = at[at < ends]
        weight = 0.5 ** ((as_of - at) / half_life)
        bins = np.searchsorted(edges, at - start, side="right")
        expected = np.bincount(bins, weight, minlength=3) * step
        assert observed.days[k] == pytest.approx(expected, abs=0.03)
        hit = bool(start < leads.converted[k] < as_of)
        assert (observed.bin[k] >= 0) == hit
        assert observed.hit[k] == (
            pytest.approx(0.5 ** ((as_of - start - (after or 0)) / half_life)) if hit else 0.0
        )


def test_exposure_begins_with_the_first_purchase_of_the_log() -> None:
    leads = Leads(np.array([0.0, 40.0]), np.array([np.nan, 45.0]), 30.0)
    assert exposure(leads, 50.0, (), None).days.tolist() == [[20.0], [5.0]]


def test_recent_exposure_counts_more() -> None:
    early = simulated_leads(4_000, seed=7, days=100.0)
    late = simulated_leads(4_000, seed=8, days=100.0, times=3.0)
    both = Leads(
        np.r_[early.start, 200 + late.start], np.r_[early.converted, 200 + late.converted], 0.0
    )
    recent, all_alike = (
        fit_hazard(both, 300.0, {}, half_life_days=h).ahead(np.zeros(1), 30.0)[0]
        for h in (30.0, None)
    )
    now = -np.log1p(-share_within(np.zeros(1), 30.0, 3.0))[0]
    assert recent == pytest.approx(now, rel=0.1)
    assert all_alike < 0.8 * now


def test_bins_that_tell_too_little_are_put_together() -> None:
    converted = np.r_[np.full(20, 1.0), np.full(4, 5.0), np.full(8, 10.0), np.full(100, np.nan)]
    many = fit_hazard(Leads(np.zeros(132), converted, 0.0), 60.0, {}, half_life_days=None)
    # from 3 to 7 days 4 were seen where 25 were expected, which tells; after 60 days nobody was
    # looked at
    assert many.edges_days == (3.0, 7.0, 14.0, 30.0)
    few = fit_hazard(Leads(np.zeros(23), converted[:23], 0.0), 8.0, {}, half_life_days=None)
    # from 3 to 7 days 3 were seen and 4 expected
    assert few.edges_days == ()


def test_a_rate_is_drawn_to_that_of_the_age_before_by_one_conversion() -> None:
    converted = np.r_[np.full(20, 1.0), np.full(100, np.nan)]
    model = fit_hazard(
        Leads(np.zeros(120), converted, 0.0), 7.0, {}, edges_days=(3.0,), half_life_days=None
    )
    first = 20 / (20 * 1 + 100 * 3 + 1)
    assert model.rates == pytest.approx((first, 1 / (100 * 4 + 1 + 1 / first)))


def test_who_was_never_a_lead_and_who_is_one() -> None:
    first = np.array([DAY + DAY // 2, 2 * DAY, 3 * DAY, np.iinfo(np.int64).max])
    leads = leads_of(first, np.array([0, 0, 1]), np.array([9 * DAY, 4 * DAY, 2 * DAY]))
    assert leads.start.tolist() == pytest.approx([1.0, np.nan, 3.0, np.nan], nan_ok=True)
    assert leads.converted.tolist() == pytest.approx([4.0, 2.0, np.nan, np.nan], nan_ok=True)
    assert leads.selling_since == 2.0
    assert leads.at_risk(3.5).tolist() == [True, False, True, False]
    assert leads.at_risk(5.0).tolist() == [False, False, True, False]
    assert np.isnan(leads_of(first, np.zeros(0, np.int64), np.zeros(0, np.int64)).selling_since)


def test_nothing_seen_has_finite_rates() -> None:
    nothing = Exposure(np.zeros((0, 2)), np.zeros(0), np.zeros(0, dtype=np.int64))
    rates, effects = fit_effects(nothing, {"origin": np.zeros(0, dtype=object)})
    assert np.isfinite(rates).all()
    assert effects == {"origin": {}}


def test_json_gives_the_same_model() -> None:
    model = HazardModel((3.0,), (0.1, 0.2), {"origin": {"": 1.5, "почта": 0.5}})
    assert HazardModel.from_json(json.loads(json.dumps(model.to_json()))) == model
