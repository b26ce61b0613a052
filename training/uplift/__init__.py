"""Whom a contact changes, learned from contacts that were drawn at random.

    trial -> randomisation -> folds -> outcomes -> learners (linear) -> model -> stored
    trial + outcomes -> pseudo_outcomes -> curves, policy (rules) -> ladder -> choice
    stages of a play -> next_stage

``model``, ``design``, ``rules`` and ``stored`` evaluate and are all that a server needs;
``outcomes``, ``linear`` and ``learners`` fit. A ranking is judged on pseudo-outcomes, whose mean
over any group of customers is the effect of a contact on that group. A new learner is a function in
``learners`` and its formula in ``model``.
"""
