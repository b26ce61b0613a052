"""Cancellations: P(a contract that is open now is cancelled within the horizon), and when half of
such are.

    spells of contracts -> landmarks (past dates) -> hazards (age, regression, trees) -> pool

:mod:`stagecast.features.contracts` reads the spells off a log; open ones are censored at the as_of.

``landmarks``
    the contracts open at past dates, to which the caller adds what was known of their customers
    then, and their steps
``ages``, ``cloglog``
    the life table, which speaks alone where few cancelled and which the trees go on from; the
    regression beside them
``columns``
    what the models see of a contract as its age moves on through the horizon
``model``, ``fitting``
    the pool of regression and trees: P over any number of days, median days, JSON; and how it is
    fitted
``baselines``
    what is tried first: Kaplan-Meier, Cox, a rule on recency, the base rate

``panel``
    the same on a log: what the catalogue says of each contract at each landmark, and what came
    after an earlier as_of

What may be changed where: an event that begins or ends a contract is a name in
:class:`stagecast.features.contracts.Terms`; a column of the regression is a line of ``RECIPE`` in
:mod:`stagecast.training.cancellation.fitting`; a member is a margin in
:meth:`stagecast.training.cancellation.model.CancellationModel.pool` and its fit.
"""
