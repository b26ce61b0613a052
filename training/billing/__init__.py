"""Contracts that are paid at regular intervals: their billing periods and what is still to come."""
