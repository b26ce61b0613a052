"""Classes of the active by their value, as the first page and the report show them."""

VALUE_SHARES = (0.2, 0.5)
"""Ends of the classes of value: the first fifth of the active by clv, the rest of the half."""
