"""FLOOR 1: what happens to documents. Imports nothing of ours."""

BATEIA = True  # start-up checks this mark, so that a foreign package named `stages` is noticed
