"""What ``import stagecast as sc`` gives to data scientists.

    read_events -> EventLog -> Lifecycle.fit, .score -> scores -> plan

=================  ===========================================================
``reading``        ``read_events``: the options of the command line as keywords
``event_log``      ``EventLog``: check, features, stages, history, snapshots
``log_check``      ``LogCheck``: what is in a log and what can be learned from it
``lifecycle``      ``Lifecycle``: fit, evaluate, score, explain, save; ``load``
``registry``       ``Registry``: champion and challenger of a name, ``compare``
``comparison``     ``Comparison``: what a comparison with the champion found
``parameters``     the settings of a ``Lifecycle`` as a ``TrainConfig``
``explanation``    why one customer's risk is as it is
``planning``       ``plan``: whom to contact under a budget
``plan``           ``Plan``: the list with its hold-out, saved until it is read out
``plan_scores``    scores as a plan reads them
``readout``        ``PlanReadOut``: what a plan brought
``words``          errors that name arguments of Python, not options
=================  ===========================================================

Each class holds the objects that the command line builds
(:class:`~stagecast.serving.reading.Reading`, :class:`~stagecast.training.config.TrainConfig`,
:class:`~stagecast.serving.targeting.plan.terms.Terms`) and calls the same functions, so that both
give the same numbers. pandas comes in and goes out; everything below works with Arrow.
"""
