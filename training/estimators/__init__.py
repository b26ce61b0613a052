"""scikit-learn estimators of churn, next stage and value, for any table of customers.

    a frame, one row per customer at a date -> fit, predict -> churn, next stage, future money

==================  ==========================================================
``churn``           ``ChurnClassifier``: P(no purchase in the horizon)
``next_stage``      ``NextStageClassifier``: P(each stage)
``customer_value``  ``CustomerValueRegressor``: expected money
``pools``           members and pools: fits and evaluations
``rfm_logistic``    ``RfmLogistic``: logistic regression on RFM, a baseline
``splits``          ``SnapshotSplit``: cross-validation over stacked snapshots
``inputs``          checks of X, y, weights and parameters
``copies``          customers of rows, and rows that are copies
``folds``           random folds that do not divide a customer
==================  ==========================================================

A full training (:mod:`stagecast.training.train`) learns from many dates of a log and uses its
rhythm, seasons and stages. The estimators learn from the rows of one table, whose rows they take to
be exchangeable, or with ``groups`` whose customers: the weights of the members are learned on
random folds, where a full training uses a later window. Evaluate them on a later date than they
were fitted on, with ``SnapshotSplit``.

What may be changed where: a member is a fit and an evaluation in ``pools``; input of users is
checked in ``inputs``. Nothing here is written to a bundle, and the server does not import it.
"""

from stagecast.training.estimators.churn import ChurnClassifier
from stagecast.training.estimators.customer_value import CustomerValueRegressor
from stagecast.training.estimators.next_stage import NextStageClassifier
from stagecast.training.estimators.rfm_logistic import RfmLogistic
from stagecast.training.estimators.splits import SnapshotSplit

__all__ = [
    "ChurnClassifier",
    "CustomerValueRegressor",
    "NextStageClassifier",
    "RfmLogistic",
    "SnapshotSplit",
]
