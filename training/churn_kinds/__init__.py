"""What churn is: no purchase within the horizon, or the cancellation of an open contract.

Each kind implements the protocol :class:`stagecast.training.churn_kinds.kind.ChurnKind`: which
customers are active, their risk and its reasons, the baselines, and the wording of reports. A new
kind (a lost lead, a usage threshold) is a file here, a line in :data:`KINDS` and a name in
:data:`stagecast.training.config.CHURN`.
"""

from __future__ import annotations

from stagecast.training.churn_kinds.cancellation import Cancellation
from stagecast.training.churn_kinds.inactivity import Inactivity
from stagecast.training.churn_kinds.kind import ChurnKind
from stagecast.training.config import Churn

__all__ = ["KINDS", "ChurnKind", "kind_of"]

KINDS: dict[Churn, ChurnKind] = {"inactivity": Inactivity(), "cancellation": Cancellation()}


def kind_of(churn: Churn) -> ChurnKind:
    """Return the kind of churn that a configuration names."""
    return KINDS[churn]
