"""P(each stage at the end of the horizon).

``model`` evaluates and is all that a server needs; ``chain`` holds the Markov chains that it
starts from; ``fitting`` fits.
"""
