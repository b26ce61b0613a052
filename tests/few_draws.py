"""Backtests whose intervals nobody looks at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stagecast.training.judging import draws


@contextmanager
def few_draws() -> Iterator[None]:
    """Let the intervals of a backtest rest on as few draws as those of a large log do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draws, "DRAWS", draws.FEWEST_DRAWS)
        yield
