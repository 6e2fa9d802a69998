"""Wasm guests: the only place that knows Wasmtime. `Engine(…).load(wasm).start(config)` is a
`kernel.contract.guest.Guest`.

Tables:    `wit`, the interfaces in every version, as data.
Pure:      `component` (reads a .wasm), `abi` (layouts), `lift` and `lower` (compiled from them by way of `source`),
           `traps` (what people are told of them).
In Wasm:   `adapter`, the text of the module that stands between guest and host.
Wasmtime:  `capi` (declarations), `fiber` (one guest), `host` and `wasi` (what guests import), `wasi_files` (of that,
           files in replayable runs), `compiler` (in bounded time and memory), `engine` (cache, link), `ticker` (the
           clock behind pre-emption).
WASI 0.2:  components that need more than preview 1: `components` (link), `threaded` (one guest), `values`.
"""
