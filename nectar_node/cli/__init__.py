"""The `nectar` command line: `entry` loads `main`, which runs one command; each command has a file here.

Imports `launcher`, `console` and what is below them; but for `boot`, which becomes the node, neither trio nor Wasmtime:
a command starts in a fifth of a second.
"""
