"""The system processes of a node; all pure: messages and outcomes in, replies, disk jobs and kernel events out.

`process` says what one is to the node, `processes` has all of one node, `shapes` reads and writes the JSON that they
share. One file each: `kernel`, `net`, `state`, `timer`, `vfs` (with its `vfs_actions` and `vfs_queue`) and `terminal`
(with its `scripts`).
"""
