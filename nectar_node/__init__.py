"""The node: the one place that knows both kernel and net.

The folders form floors: a folder imports only folders below it. From below they are `base`, `storage`, `contract`,
`packages`, `system` and `peers`, `core`, `control`, `driver`. The command line is `console`, `launcher` and `cli`; of
the other folders these import only `base` to `packages`.
"""
