"""Orders and money to come: within the horizon, and over the value horizon.

``model`` and ``stretch`` evaluate, ``intervals`` say how sure an amount is, ``fitting`` fits.
"""
