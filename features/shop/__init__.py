"""Days of the shop: time zones, shop time, and the events of a log in it."""
