"""What a reader of a plan must know, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stagecast.features.stages.plays import Play
from stagecast.serving.targeting.plan.candidates import Candidates
from stagecast.serving.targeting.plan.economics import Economics
from stagecast.serving.targeting.plan.terms import KEEP_EFFECT, WIN_BACK_EFFECT, Terms
from stagecast.serving.targeting.trial.power import Detectable


def notes_of(
    terms: Terms,
    plays: Sequence[Play],
    customers: Candidates,
    money: Economics,
    reachable: NDArray[np.bool_],
    contacted: NDArray[np.int64],
    can_show: tuple[Detectable | None, Detectable | None],
) -> tuple[str, ...]:
    """Return the notes of a plan.

    Parameters
    ----------
    terms, plays, customers, money
        What the plan was made from.
    reachable
        Who may be contacted, shape (n,).
    contacted
        Positions of the contacted, shape (k,).
    can_show
        The smallest effects that would be shown, in buyers and in money.
    """
    notes = [_effects(terms, plays)]
    part = 0.0 if terms.worth is not None else _gone_of_active(customers, money, contacted)
    if part > 0:
        notes.append(
            f"Of what is saved and won back, {part:,.2f} is value gone of active customers, who "
            "may have left without a word."
        )
    if not customers.has_money:
        notes.append(
            f"The log has no amounts: a customer who is kept counts as worth {terms.worth:g}."
        )
    if not reachable.any():
        notes.append("Nobody may be contacted: see the reasons why customers are left out.")
    elif not len(contacted):
        best = float(money.gain[reachable].max())
        notes.append(
            "Nobody is worth a contact: at these costs and effects the best one is expected to "
            f"bring {best:z,.2f}."
        )
    elif not money.cost[reachable].any():
        notes.append("No cost was given, so that every gain is before costs.")
    if not terms.holdout:
        notes.append("Nobody is held out, so that nothing can be shown of what the plan brings.")
    elif len(contacted) and can_show[0] is None:
        notes.append("The hold-out is too small to show anything; hold out more, or pool plans.")
    return tuple(notes)


def _gone_of_active(customers: Candidates, money: Economics, rows: NDArray[np.int64]) -> float:
    """Return what contacts are expected to bring back of the value gone of active customers, in
    money; 0 where it rounds to nothing.
    """
    active = rows[customers.state[rows] == "active"]
    kept = money.effect[active] * np.nan_to_num(customers.value_at_risk[active])
    return round(float((money.gross[active] - kept).sum()), 2)


def _effects(terms: Terms, plays: Sequence[Play]) -> str:
    if terms.effects.source != "assumed":
        return (
            f"The effects are learned from {terms.effects.source}. To assume others instead, state "
            "the effects."
        )
    keep, win_back = terms.effects.keep, terms.effects.win_back
    by_play = (keep is None or win_back is None) and any(p.effect is not None for p in plays)
    return (
        "The effects are assumed, not measured: a contact saves "
        f"{KEEP_EFFECT if keep is None else keep:.1%} of the value at risk and brings back "
        f"{WIN_BACK_EFFECT if win_back is None else win_back:.1%} of the value gone"
        ", at most what may return without it"
        f"{', unless the play of the customer says otherwise' if by_play else ''}; the read-out "
        "of a plan says what they are."
    )
