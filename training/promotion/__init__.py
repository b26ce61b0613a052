"""Champion and challenger: whether a new training replaces the one in use, and the record of it.

    champion's bundle, challenger's procedure -> compare (past dates that neither saw)
        -> losses -> gate (rules, intervals) -> decision -> registry (aliases, records, lock)

The gate is pure: losses of two models per customer and date in, a decision with its reasons out.
``registry`` alone talks to MLflow; ``challenge`` does all of it after a training.
"""
