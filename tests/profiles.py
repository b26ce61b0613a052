"""How many examples the property tests try: few in `make test`, many in `make prove`.

``ci`` is loaded unless another profile is asked for with ``--hypothesis-profile=nightly``. A test
that needs a number of its own writes ``@settings(max_examples=examples(40))``: 40 stands for the
number that suits its cost, and the profile says how much of it is tried.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

USUAL = 100
"""The number of examples that a property without a number of its own stands for."""
TIMES = {"ci": 0.25, "nightly": 4.0}
FEWEST = 2


def register() -> None:
    """Register the profiles, and load the small one.

    No profile looks at the clock: a busy machine is no reason to fail.
    """
    for name, times in TIMES.items():
        settings.register_profile(
            name,
            max_examples=round(USUAL * times),
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
    settings.load_profile("ci")


def examples(usual: int) -> int:
    """Return how many examples the profile that is loaded tries where ``usual`` are usual."""
    return max(min(usual, FEWEST), round(usual * settings().max_examples / USUAL))
