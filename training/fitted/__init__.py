"""What a fitted model says of itself: how good it was, what it uses, its customer-base models.

==============  ==============================================================
``evaluation``  ``EvaluationReport``: the held-out evaluation, as tables
``importances`` how much each member of the churn model uses each feature
``btyd``        the fitted customer-base models by name
==============  ==============================================================
"""
