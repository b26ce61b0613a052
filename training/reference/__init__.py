"""What a training remembers of the shop, to compare customers with it.

``rfm_settings`` (what the user asks for) -> ``rfm`` (scores and segments); ``usual`` (of buyers and
contracts, for reasons); ``reference`` holds both and the percentiles of the risk.
"""
