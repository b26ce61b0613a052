"""Days and money of the shop: time zones, shop time, the events of a log in it, and amounts as
people read them.
"""
