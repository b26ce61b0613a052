"""The folder that a run leaves behind: what is in it, and how it appears whole or not at all."""
