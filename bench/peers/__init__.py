"""`make bench-peers`: the node beside other peer-to-peer libraries that Python has, in an environment of their own.

`programs` runs there and imports nothing of this project; `__main__` runs it in turns with nodes.
"""
