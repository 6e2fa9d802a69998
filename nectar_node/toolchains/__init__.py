"""Compilers of processes, a module for each language: its `build` makes a .wasm file of a source file and of what that
imports; imports `base` and `contract`.

Tools are of exact versions, come from PyPI or npm, and lie in folders of their own in the user's cache, as does what
they have built: the same sources are compiled once.
"""
