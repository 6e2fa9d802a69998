"""The node: the one place that knows both kernel and net.

`core` composes the pure parts, `node` drives them with trio, `system/` holds the system processes, `control` the Unix
socket that the command line in `cli/` speaks to.
"""
