"""Future orders and spend: within the horizon, and over the value horizon.

``model`` and ``stretch`` evaluate, ``intervals`` gives prediction intervals, ``fitting`` fits.
"""
