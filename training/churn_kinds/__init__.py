"""What churn is: no purchase within the horizon, or the cancellation of an open contract.

Each kind is an object with one face (:class:`stagecast.training.churn_kinds.kind.ChurnKind`): who
is active, how likely they leave, why, against which baselines that is judged, and in which words it
is said. A new kind (a lead lost, a usage threshold) is a file here, a line in :data:`KINDS` and a
name in :data:`stagecast.training.config.CHURN`.
"""

from __future__ import annotations

from stagecast.training.churn_kinds.cancellation import Cancellation
from stagecast.training.churn_kinds.inactivity import Inactivity
from stagecast.training.churn_kinds.kind import ChurnKind
from stagecast.training.config import Churn

__all__ = ["KINDS", "ChurnKind", "kind_of"]

KINDS: dict[Churn, ChurnKind] = {"inactivity": Inactivity(), "cancellation": Cancellation()}


def kind_of(churn: Churn) -> ChurnKind:
    """Return the kind of a configuration's ``churn``."""
    return KINDS[churn]
