"""Wasm guests: the only place that knows Wasmtime. `Engine(…).load(wasm).start(config)` is a
`kernel.contract.guest.Guest`.

Pure:      `binary` (reads a .wasm), `canonical` (the types of guests and how their values travel), `wasi` (WASI 0.2),
           `traps` (what people are told of them).
In Wasm:   `adapter`, the text of the module that stands between guest and host.
Wasmtime:  `compiling` (in bounded time and memory, by other processes, with a cache on the disk), `fiber` (one guest)
           with `code` (what those of a program share), `component_instances` and `output`, `host` and `component_host`
           (what guests import), `preview1` and `preview1_files` (WASI preview 1), `linking` (core modules become one
           guest), `engine` (loads programs), `ticker` (the clock behind pre-emption).
"""
