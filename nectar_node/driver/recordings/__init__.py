"""A running node that is recorded, and the replay of a recording."""
