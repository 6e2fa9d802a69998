"""What packages that others compiled may ask of a node, measured with a guest of each interface: the page
docs/compatibility.md is written from it.
"""
