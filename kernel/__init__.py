"""Processes and messages: the pure core of a node, and the trio runner around it.

Values:    `address`, `message`, `capability`. What a guest is to the kernel: `guest`. Bounds: `limits`, `errors`.
State:     `mailbox`, `process`, `outstanding`, `grants`; `kernel` (the router) with `outside`, `calls` and
           `lifecycle`; `machine` joins it with its guests.
World:     `runner` (trio). Wasm: the package `wasm`, the only place that knows Wasmtime.

Imports neither net, nectar_node nor testnet.
"""
