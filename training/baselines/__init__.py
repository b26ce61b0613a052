"""What a data scientist would try first: the baselines that the models are compared with.

``buyers`` for P(no purchase) and spend, ``contracts`` for P(cancelled). They are fitted on the same
past as the models, and no running server needs them.
"""
