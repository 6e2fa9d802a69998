"""The `nectar` command line.

`entry` loads `main`, which runs one command; each command has a file (those of the lab: `testnet.cli`): `boot`, `send`,
`message`, `start` (start, kill), `run`, `inspect` (ps, peers), `top`, `errors`, `trace` and `logs`. Below them:
`network` finds the nodes of a folder, `client` speaks to one through its control socket, `unpack` makes a package of
what the user names, `transfer` follows one transfer of a file, `lineage` puts the records of a trace together, `launch`
starts and stops nodes as operating system processes, `progress` and `output` print. Nothing here but `boot`, which
becomes the node, imports trio or Wasmtime: a command starts in a fifth of a second.
"""
