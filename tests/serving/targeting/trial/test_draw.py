"""Who is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagecast.features.errors import UsageError
from stagecast.serving.targeting.trial.draw import (
    draw_holdout,
    draw_in_order,
    hash_position,
    strata_of,
)


def ids(customers: int) -> list[str]:
    return [f"c{k}" for k in range(customers)]


SHARES = st.floats(0.2, 0.8)
STRATA = st.lists(st.sampled_from("abcd"), min_size=12, max_size=60)


@given(STRATA, SHARES, st.integers(0, 2**32))
def test_each_stratum_and_the_list_have_their_share_rounded_up_or_down(
    strata: list[str], share: float, seed: int
) -> None:
    held_out = draw_holdout(ids(len(strata)), strata, share, seed)
    of_strata = [held_out[np.array(strata) == name] for name in sorted(set(strata))]
    for rows in [held_out, *of_strata]:
        assert abs(rows.sum() - len(rows) * share) < 1


@given(STRATA, SHARES, st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_the_order_of_the_list_does_not_matter(
    strata: list[str], share: float, seed: int, shuffler: object
) -> None:
    order = list(range(len(strata)))
    shuffler.shuffle(order)  # type: ignore[attr-defined]
    customers = ids(len(strata))
    held_out = draw_holdout(customers, strata, share, seed)
    moved = draw_holdout([customers[k] for k in order], [strata[k] for k in order], share, seed)
    assert moved.tolist() == held_out[order].tolist()


def test_each_customer_has_exactly_the_probability_of_the_share() -> None:
    strata, share, seeds = ["a"] * 3 + ["b"] * 7 + ["c"] * 11, 0.15, 3000
    held_out = sum(draw_holdout(ids(21), strata, share, seed).astype(int) for seed in range(seeds))
    error = np.sqrt(share * (1 - share) / seeds)
    assert np.abs(held_out / seeds - share).max() < 4 * error


def test_pairs_of_a_stratum_are_held_out_together_as_in_a_simple_random_sample() -> None:
    # 2 of 4 are drawn: each of the 6 pairs with probability 1/6
    pairs = [
        tuple(np.flatnonzero(draw_holdout(ids(4), ["a"] * 4, 0.5, seed))) for seed in range(3000)
    ]
    counts = np.array([pairs.count(pair) for pair in set(pairs)])
    assert len(counts) == 6
    assert np.abs(counts / 3000 - 1 / 6).max() < 4 * np.sqrt(1 / 6 * 5 / 6 / 3000)


def test_a_share_that_fits_gives_its_exact_number() -> None:
    for seed in range(50):
        assert draw_holdout(ids(1000), ["a"] * 333 + ["b"] * 667, 0.1, seed).sum() == 100


def test_a_seed_gives_the_same_hold_out_again_and_another_seed_another() -> None:
    first, again, other = (draw_holdout(ids(100), ["a"] * 100, 0.2, seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


@given(st.integers(20, 60), st.floats(0.3, 0.5), st.floats(0.5, 0.7))
def test_a_larger_share_of_a_standing_hold_out_drops_nobody(
    customers: int, share: float, larger: float
) -> None:
    position = hash_position(ids(customers), "always")
    assert set(np.flatnonzero(position < share)) <= set(np.flatnonzero(position < larger))
    try:
        small, large = (
            draw_holdout(ids(customers), ["a"] * customers, s, 1, standing="always")
            for s in (share, larger)
        )
    except UsageError:  # of so few, chance may hold out one or none
        return
    assert not np.any(small & ~large)


def test_a_standing_hold_out_is_the_same_customers_in_every_plan() -> None:
    whole = draw_holdout(ids(500), ["a"] * 500, 0.3, 1, standing="always")
    part = draw_holdout(ids(200), ["b"] * 200, 0.3, 2, standing="always")
    assert part.tolist() == whole[:200].tolist()
    assert part.tolist() != draw_holdout(ids(200), ["b"] * 200, 0.3, 2, standing="x").tolist()


def test_positions_of_a_standing_draw_are_uniform_and_stay_what_they_were() -> None:
    position = np.sort(hash_position(ids(20_000), "always"))
    # 1.63 / sqrt(n) is the 1 % point of the Kolmogorov-Smirnov statistic
    assert np.abs(position - (np.arange(20_000) + 0.5) / 20_000).max() < 1.63 / np.sqrt(20_000)
    # plans that were drawn depend on it: the value of the first release
    assert hash_position(["c0"], "always")[0] == PINNED


PINNED = 0.1878423476540273


@pytest.mark.parametrize(
    ("customers", "share", "seed", "message"),
    [
        (100, 0.0, 1, "a hold-out of 0.0 of the list is not between 0 and 1"),
        (100, 1.0, 1, "a hold-out of 1.0 of the list is not between 0 and 1"),
        (100, float("nan"), 1, "a hold-out of nan"),
        (10, 0.1, 1, "a hold-out of 0.1 of 10 customers gives 1 held out"),
        (10, 0.85, 1, "a hold-out of 0.85 of 10 customers gives 9 held out"),
        (0, 0.5, 1, "a hold-out of 0.5 of 0 customers gives 0 held out"),
        (100, 0.1, -1, "the seed -1 is negative"),
    ],
)
def test_a_draw_that_cannot_be_made_is_refused(
    customers: int, share: float, seed: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        draw_holdout(ids(customers), ["a"] * customers, share, seed)


def test_repeated_customers_and_missing_strata_are_refused() -> None:
    with pytest.raises(UsageError, match="customer 'c1' is on the list more than once"):
        draw_holdout(["c1", "c2", "c1", "c3", "c4"], ["a"] * 5, 0.4, 1)
    with pytest.raises(UsageError, match="3 strata of 5 customers"):
        draw_holdout(ids(5), ["a"] * 3, 0.4, 1)


def test_strata_join_the_labels_of_a_customer() -> None:
    assert strata_of(["call", "mail"], ["new", "loyal"], ["low", "high"]) == [
        "call / new / low",
        "mail / loyal / high",
    ]


def test_customers_in_the_order_of_their_ids_are_drawn_by_codes_as_by_texts() -> None:
    ids = [f"c{k:03d}" for k in range(200)]
    code = np.random.default_rng(3).integers(0, 3, 200)
    texts = [["call / new", "mail / loyal", "mail / new"][k] for k in code]
    by_texts = draw_holdout(ids[::-1], texts[::-1], 0.15, seed=9)[::-1]
    assert 0 < by_texts.sum() < 200
    assert np.array_equal(draw_in_order(code, 0.15, seed=9), by_texts)
