"""Campaigns: who is contacted, who is left alone, and what it brought.

plan/ (who is contacted under a budget; store and files)
    -> trial/ (hold-outs and read-outs: statistics only, arrays in, dataclasses out)
"""
