"""What customers bring in the horizon of their first purchase."""

from __future__ import annotations

import numpy as np

from stagecast.training.leads.after import after_conversion
from stagecast.training.panel import Frame
from tests.training.made import a_frame

EMPTY = np.zeros(0)


def prospects(rows: int, conversions: int) -> Frame:
    converted = (np.arange(rows) < conversions).astype(float)
    return a_frame({}, orders=(2 * converted).tolist(), spend=(30 * converted).tolist())


def test_those_who_converted_tell_what_converting_brings() -> None:
    assert after_conversion(
        [prospects(50, 10), prospects(49, 9)], np.array([9.0]), np.array([9.0])
    ) == (2.0, 30.0)


def test_without_a_conversion_new_customers_tell() -> None:
    assert after_conversion([prospects(9, 0)], np.array([1.0, 2.0]), np.array([10.0, 30.0])) == (
        1.5,
        20.0,
    )
    assert after_conversion([], EMPTY, EMPTY) == (1.0, 0.0)
