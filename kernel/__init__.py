"""Processes and messages: the pure core of a node, and the trio runner around it.

Values:    `address`, `message`, `capability`. What a guest is to the kernel: `guest`. Bounds: `limits`, `errors`.
State:     `mailbox`, `process`, `outstanding`, `abroad`, `grants`; `machine` joins the kernel with its guests.
Router:    `kernel`, with `sending` (what processes send), `routing` (where it goes, and whether it may), `room` (who
           waits), `outside` (what other nodes and the user send), `outcomes` (how messages end), `calls` and
           `lifecycle`. They know it as a `router`.
World:     `runner` (trio). Wasm: the package `wasm`, the only place that knows Wasmtime.

Imports neither net, nectar_node nor testnet.
"""
