"""FLOOR 4: the outside. Imports everything; nothing imports it."""

BATEIA = True  # start-up checks this mark, so that a foreign package named `deploy` is noticed
