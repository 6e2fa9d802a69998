"""The `nectar` command line.

`main` is the entry point; each command group has a file: `testnet` (up, status, down), `boot`, `send`, `message`,
`inspect` (ps, peers, install) and `logs`. Below them: `network` finds the nodes of a folder, `client` speaks to one
through its control socket, `transfer` follows one transfer of a file, `launch` starts and stops nodes as operating
system processes, `progress` and `output` print. Nothing here but `boot`, which becomes the node, imports trio or
Wasmtime: a command starts in a fifth of a second.
"""
