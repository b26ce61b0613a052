"""One reason of a risk."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """One reason of a risk.

    Parameters
    ----------
    code
        What is said: the feature and what it is compared with, like ``orders.stage``; see
        :mod:`stagecast.training.reasons.sentences`.
    feature
        The feature that is shown.
    value
        Its value.
    usual
        The value that it is compared with; NaN: with none.
    effect
        Effect on the log odds; NaN where it is part of the base, or no model gave the risk.
    direction
        ``raises`` or ``lowers``.
    label
        Words that belong to the value: the meaning of one of the user's own features, the title of
        a stage, a date.
    """

    code: str
    feature: str
    value: float
    usual: float
    effect: float
    direction: str
    label: str | None = None
