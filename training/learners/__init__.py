"""What learns: customer-base models, linear models, boosted trees, and how they are pooled.

    btyd, customer_base | glm on a design | boosting -> blend -> metrics

Nothing here knows which probability it is fitted for; see :mod:`stagecast.training.churn`,
:mod:`stagecast.training.next_stage`, :mod:`stagecast.training.value`,
:mod:`stagecast.training.cancellation` and :mod:`stagecast.training.leads`.
"""
