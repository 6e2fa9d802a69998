"""The `nectar` command line: `entry` loads `main`, which runs one command; each command has a file here.

Imports `launcher`, `console` and what is below them. Except for `boot`, which becomes the node, it imports neither trio
nor Wasmtime, so that a command starts in a fifth of a second.
"""
