"""Cancellations: P(an open contract is cancelled within the horizon), and the median days to it.

    spells of contracts -> landmarks (past dates) -> hazards (age, regression, trees) -> pool

:mod:`stagecast.features.contracts` reads the spells from a log; open ones are censored at the
as_of.

``landmarks``
    the contracts open at past dates, and the steps of their horizons
``ages``, ``cloglog``, ``members``
    the life table, which is used alone with few cancellations and which the trees start from; the
    regression; all of them as members of a pool
``columns``
    the columns of a contract in each step of the horizon
``model``, ``fitting``
    the pool: P over any number of days, median days, JSON; and its fitting (``fit_ages``,
    ``fit_hazards``)
``panel``
    the landmarks of a log with the features of the catalogue

The baselines are in :mod:`stagecast.training.baselines.contracts`.

What may be changed where: an event that begins or ends a contract is a name in
:class:`stagecast.features.contracts.Terms`; a column of the regression is a line of ``RECIPE`` in
:mod:`stagecast.training.cancellation.fitting`; a member is a class in
:mod:`stagecast.training.cancellation.members`, a line in
:attr:`stagecast.training.cancellation.model.CancellationModel.pool`, and its fit.
"""
