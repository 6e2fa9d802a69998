"""The node: the one place that knows both kernel and net.

Floors, from below; a folder imports only folders below it: `base`, `storage`, `contract`, `packages`, `system` and
`peers`, `core`, `control`, `driver`; and for who types commands `console`, `launcher`, `cli`, which of the others know
`base` to `packages`.
"""
