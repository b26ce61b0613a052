"""Numbers in the sentences of rules: one at a time as in a column."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.one_customer.sentences import RuleSentences
from stagecast.features.stages import conditions
from stagecast.features.stages.conditions import Clause, Condition, number_text
from stagecast.features.stages.scheme_files import load_scheme
from stagecast.features.stages.thresholds import THRESHOLD_NAMES
from tests.profiles import examples

NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(-200, 200),
    st.integers(-20_000, 20_000).map(lambda n: n / 200),
    st.sampled_from([0.0, -0.0, 0.005, 99.995, 99.999999, 1e300, -1e300, 0.5, 2.5, 1e-320]),
)


@settings(max_examples=examples(400))
@given(st.lists(NUMBERS, min_size=1, max_size=20))
def test_a_number_alone_is_written_as_in_a_column(values: list[float]) -> None:
    column = conditions._number_texts(np.array(values)).to_pylist()
    assert [number_text(value) for value in values] == column


@settings(max_examples=examples(60))
@given(st.lists(NUMBERS, min_size=1, max_size=12), st.sampled_from(["retail", "clm5"]))
def test_sentences_row_by_row_are_those_of_columns(values: list[float], name: str) -> None:
    scheme = load_scheme(name).with_thresholds(
        dict.fromkeys(THRESHOLD_NAMES, 1.906), {"loyal_orders"}
    )
    facts = {n: np.roll(np.array(values), k) for k, n in enumerate(sorted(scheme.features))}
    stage = np.arange(len(values)) % len(scheme.stages)
    expected = scheme.explain(stage, facts).to_pylist()
    assert RuleSentences(scheme).of_rows(stage, facts) == expected


@settings(max_examples=examples(100))
@given(st.lists(NUMBERS, min_size=conditions.FEW_ROWS + 1, max_size=40))
def test_sentences_of_few_customers_are_those_of_many(values: list[float]) -> None:
    clause = Clause((Condition("a", ">", "at_risk_ratio"), Condition("b", "==", "2")))
    facts = {"a": np.array(values), "b": np.array(values[::-1])}
    thresholds = {"at_risk_ratio": 1.906}
    many = clause.sentences(facts, thresholds, {"at_risk_ratio"}).to_pylist()
    for row, sentence in enumerate(many):
        alone = {name: column[row : row + 1] for name, column in facts.items()}
        assert clause.sentences(alone, thresholds, {"at_risk_ratio"}).to_pylist() == [sentence]
