"""Learning algorithms: customer-base models, linear models, boosted trees, and their pools.

    btyd, customer_base | glm on a design | boosting -> blend -> metrics

Nothing here depends on the probability that is predicted; see :mod:`stagecast.training.inactivity`,
:mod:`stagecast.training.next_stage`, :mod:`stagecast.training.value`,
:mod:`stagecast.training.cancellation` and :mod:`stagecast.training.leads`.
"""
