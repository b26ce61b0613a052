"""P(no purchase in the horizon) of buyers: the members of the pool, their weights and its level.

``model`` evaluates and is all that a server needs; ``fitting`` fits.
``hazard`` is the member that joins the fitted pool.
"""
