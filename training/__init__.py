"""Snapshots in, a bundle out.

    events -> features -> stages and labels -> snapshots -> models -> bundle -> scores -> page
                                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

Imports point one way: ``features <- training <- serving``; nothing here imports ``serving``. The
running server loads a bundle and evaluates it; it needs no module here that fits anything.

What you may change where: a model's fit and its evaluation stand beside each other, in one module
or in one folder (:mod:`stagecast.training.btyd`); how the members are combined is the business of
:mod:`stagecast.training.churn_fitting`, what they say together that of
:mod:`stagecast.training.churn`; what is written to disk is :mod:`stagecast.training.bundle`'s
alone, and only text and JSON are. :mod:`stagecast.training.fitting` fits every model of one as_of;
:mod:`stagecast.training.train` does so twice, :mod:`stagecast.training.backtest` at several past
dates, on which :mod:`stagecast.training.verdict` passes judgement.
:mod:`stagecast.training.estimators` (scikit-learn's ways) and
:mod:`stagecast.training.cancellation` (contracts that end) stand beside this way and use its parts.
"""
