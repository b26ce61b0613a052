"""A format that is not tried for a text would not have read it."""

from __future__ import annotations

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from stagecast.features.intake.time_hints import CERTAIN, DAY_FIRST
from stagecast.features.intake.time_signs import may_read
from tests.profiles import examples

FORMATS = (*CERTAIN, *DAY_FIRST)
READS = ", ".join(f"try_strptime(time, '{form}') IS NOT NULL" for form in FORMATS)
TEXTS = st.one_of(
    st.lists(
        st.sampled_from(
            ["2025", "25", "2", "13", "feb", "12", "59", "Z", "T", "PM", "UTC", *"/.-:, +_"]
        ),
        min_size=1,
        max_size=14,
    ).map("".join),
    st.tuples(
        st.sampled_from(FORMATS),
        st.datetimes().map(lambda at: at.replace(year=2024)),
        st.sampled_from(["+02:00", "-0530", "+3", "UTC", "America/New_York", "Etc/GMT+3", "EST"]),
    ).map(
        lambda drawn: drawn[1].strftime(
            drawn[0].replace("%z", drawn[2]).replace("%Z", drawn[2]).replace("%g", "%f")
        )
    ),
)


@settings(max_examples=examples(400))
@given(time=TEXTS)
def test_what_a_format_reads_is_tried(time: str) -> None:
    text = time.strip()
    (reads,) = duckdb.execute(f"SELECT {READS} FROM (SELECT ? AS time)", [text]).fetchall()
    for form, is_read in zip(FORMATS, reads, strict=True):
        assert not is_read or may_read(form, text), form


def test_few_formats_are_tried_for_a_date() -> None:
    tried = [form for form in FORMATS if may_read(form, "01/13/2025")]
    assert "%d/%m/%Y" in tried
    assert len(tried) < len(FORMATS) / 10
