"""WASI 0.2 for components, of our own: what a guest imports of it (`wit/`, the text of the specification), and what
each function does. Pure, but for the folder of a host that is a guest's drive (`host_drive`).

`text` reads the specification, `interfaces` joins it with the functions in `io`, `clocks`, `cli`, `random` and `files`;
what one guest has is a `state.WasiState`.
"""
