"""The models as scikit-learn estimators: for notebooks, pipelines and grid searches on frames of
snapshots.

    a frame, one row per customer at a date -> fit, predict -> churn, next stage, money to come

=============================================  ====================================================
:mod:`~stagecast.training.estimators.churn`              ``ChurnClassifier``: P(no purchase in the
horizon) :mod:`~stagecast.training.estimators.next_stage`         ``NextStageClassifier``: P(each
stage) :mod:`~stagecast.training.estimators.customer_value`     ``CustomerValueRegressor``: expected
money :mod:`~stagecast.training.estimators.pools`              the members, and how they are put
together :mod:`~stagecast.training.estimators.inputs`             what is accepted: X, y, weights,
parameters
=============================================  ====================================================

A training of the whole (:mod:`stagecast.training.train`) learns from many dates of a log, and knows
its rhythm, its seasons and its stages. These learn from the rows that they are given, one table of
any origin, and take these to be exchangeable: weights of the members come from folds drawn at
random, where a training takes a later window if there is one. Judge them on a later date than they
were fitted on.

What you may change where: a member is a fit and an evaluation in ``pools``; whatever a user can
pass is checked in ``inputs``. Nothing here is written to a bundle, and the server imports none of
it.
"""

from stagecast.training.estimators.churn import ChurnClassifier
from stagecast.training.estimators.customer_value import CustomerValueRegressor
from stagecast.training.estimators.next_stage import NextStageClassifier

__all__ = ["ChurnClassifier", "CustomerValueRegressor", "NextStageClassifier"]
