"""A member of the user: a classifier or regressor of scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stagecast.features.arguments.values import refuse, shown
from stagecast.features.errors import UsageError


@dataclass(frozen=True, repr=False)
class OwnMember:
    """A classifier or regressor of your own as a member of a model.

    Parameters
    ----------
    estimator
        A scikit-learn classifier with ``predict_proba``, or a regressor, which is cloned for each
        fit. None in a model that was loaded without it.
    text
        How it prints itself.
    regresses
        Whether it is a regressor.
    """

    estimator: Any = field(default=None, compare=False)
    text: str = ""
    regresses: bool = field(default=False, compare=False)

    def __repr__(self) -> str:
        return f"member({self.text})"


def member(estimator: Any) -> OwnMember:
    """Return a classifier or a regressor as a member of :class:`stagecast.Lifecycle`.

    It is fitted on the rows that the trees are fitted on, a DataFrame of one row per buyer and past
    date. A classifier stands in ``members``; its target is 1 for no purchase within the horizon. A
    regressor stands in ``spend_members`` or ``orders_members``; its rows are the buyers who ordered
    within the horizon, its target the mean spend per order, or the number of orders, in it. Where
    it cannot handle nulls, they become the median of the column.

    Parameters
    ----------
    estimator
        Any scikit-learn classifier with ``predict_proba``, or any regressor, not fitted; a
        pipeline, too.

    Raises
    ------
    UsageError
        It is neither.

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> member(RandomForestClassifier(min_samples_leaf=20))
    member(RandomForestClassifier(min_samples_leaf=20))
    """
    from sklearn.base import is_regressor

    if isinstance(estimator, type):
        raise UsageError(f"member({estimator.__name__}) is a class; write {estimator.__name__}()")
    if not callable(getattr(estimator, "fit", None)):
        refuse(estimator, "estimator", "a scikit-learn estimator, like RandomForestClassifier()")
    text = " ".join(repr(estimator).split())
    try:
        regresses = bool(is_regressor(estimator))
    except (AttributeError, TypeError) as error:  # it has no tags
        raise UsageError(
            f"{shown(estimator)} is no scikit-learn estimator: derive its class from "
            "ClassifierMixin or RegressorMixin, and from BaseEstimator, in this order"
        ) from error
    lacks = [
        name
        for name in ("fit", "predict" if regresses else "predict_proba", "get_params")
        if not callable(getattr(estimator, name, None))
    ]
    if lacks:
        raise UsageError(
            f"{text} has no {lacks[0]}; a member is a scikit-learn regressor, or a classifier with "
            "predict_proba, such as RandomForestClassifier(), or CalibratedClassifierCV around one "
            "without it"
        )
    return OwnMember(estimator, text, regresses)
