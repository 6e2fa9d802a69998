"""Processes and messages: the pure core of a node, and the trio runner around it. Imports neither `net` nor
`nectar_node`.

Floors, from below; a folder imports only folders below it: `contract`, `capabilities`, `router` and `wasm`, and on top
`machine`, which joins the kernel with its guests, and `runner`, which waits.
"""
