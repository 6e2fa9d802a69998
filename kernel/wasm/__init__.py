"""Wasm guests: the only place that knows Wasmtime. `Engine(…).load(wasm).start(config)` is a `kernel.guest.Guest`.

Tables:    `wit`, the interfaces in every version, as data.
Pure:      `component` (reads a .wasm), `abi` (layouts), `lift` and `lower` (compiled from them by way of `source`).
In Wasm:   `adapter`, the text of the module that stands between guest and host.
Wasmtime:  `capi` (declarations), `fiber` (one guest), `host` and `wasi` (what guests import), `engine` (compile, cache,
           link), `ticker` (the clock behind pre-emption).
"""
