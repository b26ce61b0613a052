"""P(stage at the end of the horizon), for every stage of the scheme.

``model`` evaluates and is all that a server needs; ``chain`` holds the Markov chains of the pool;
``fitting`` fits.
"""
