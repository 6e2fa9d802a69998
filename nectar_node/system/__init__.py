"""The system processes of a node, all pure: messages and outcomes in; replies, disk jobs and kernel events out.

`process` defines what one is to the node, and `processes` holds all of one node. One file each: `kernel`, `net`,
`state`, `timer`, `vfs` (with its `vfs_actions`, `vfs_queue` and `vfs_waits`) and `terminal`. Imports `base` to
`packages`.
"""
