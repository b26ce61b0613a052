"""Pairs of scores: sums that are worked out by hand, and parts that are one whole together."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest

from stagecast.serving.follow.pairs import LABELS, NUMBERS, SAMPLE, Pairs, merged, values_of

EMPTY = [None] * len(NUMBERS)


def score(churn, clv=None, band=None):
    return values_of({"churn_probability": churn, "clv": clv, "churn_band": band, "customer_id": 7})


def filled(scores, seed=1, shift=0.0):
    draw, pairs = np.random.default_rng(seed), Pairs("a", "b")
    chance = random.Random(seed)
    for churn in draw.random(scores).tolist():
        pairs.add(score(churn, 9.0, "low"), score(churn + shift, 9.0, "low"), chance)
    return pairs


def test_sums_means_and_agreement_are_those_of_the_pairs():
    pairs, chance = Pairs("a", "b"), random.Random(1)
    pairs.add(score(0.2, 10.0, "low"), score(0.4, 30.0, "low"), chance)
    pairs.add(score(0.6, None, "high"), score(0.5, 5.0, "medium"), chance)
    pairs.add(score(None), score(None), chance)
    pairs.add(score(0.1), score(None), chance)
    pairs.fail("refused", 2)
    report = pairs.report()
    churn, clv = report["columns"]["churn_probability"], report["columns"]["clv"]
    assert (report["scores"], report["errors"], pairs.seen) == (4, {"refused": 2}, 6)
    assert (churn["both"], churn["only_answered"], churn["only_beside"]) == (2, 1, 0)
    assert churn["mean_answered"] == pytest.approx(0.4)
    assert churn["mean_beside"] == pytest.approx(0.45)
    assert churn["mean_difference"] == pytest.approx(0.15)
    assert (clv["both"], clv["only_beside"], clv["mean_difference"]) == (1, 1, 20.0)
    # of the two customers with a band, one has the same; who has none says nothing
    assert report["agreement"] == {"churn_band": 0.5, "next_stage_likeliest": None}
    assert report["milliseconds_per_score"] == {"answered": None, "beside": None}


def test_the_sample_is_bounded_and_an_even_choice_of_all_pairs():
    pairs, chance = Pairs("a", "b"), random.Random(3)
    for number in range(10 * SAMPLE):
        pairs.add([number, *EMPTY[1:], None, None], [number, *EMPTY[1:], None, None], chance)
    assert len(pairs.sample) == SAMPLE
    # standard error of the mean of a thousand of ten thousand even numbers: 91 less the fpc
    assert np.mean([row[0] for row in pairs.sample]) == pytest.approx(5 * SAMPLE, abs=400)


def test_parts_of_several_processes_are_one_whole_and_other_versions_are_left_out():
    parts = [filled(300), filled(500, 2), filled(200, 3)]
    other = Pairs("a", "c", scores=99)
    stored = [msgspec.json.decode(msgspec.json.encode(p), type=Pairs) for p in (*parts, other)]
    whole = merged(stored, random.Random(1))
    assert whole.scores == len(whole.sample) == 1_000
    assert whole.columns["clv"].answered == 9_000
    assert {name: whole.agreement(name) for name in LABELS} == {
        "churn_band": 1.0,
        "next_stage_likeliest": None,
    }
    assert merged([], random.Random(1)) is None


def test_a_large_part_has_its_share_of_the_merged_sample():
    small, large = filled(1_000, 1, shift=0.0), filled(9_000, 2, shift=1.0)
    whole = merged([small, large], random.Random(1))
    moved = sum(row[len(NUMBERS)] - row[0] > 0.5 for row in whole.sample)
    assert (len(whole.sample), moved) == (SAMPLE, 900)


def test_no_id_of_a_customer_is_in_what_is_stored():
    pairs = Pairs("a", "b")
    pairs.add(score(0.2), score(0.3), random.Random(1))
    assert b"customer" not in msgspec.json.encode(pairs)
