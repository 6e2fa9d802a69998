"""From a module to code that runs: what asks the operating system for time, memory, processes and files.

`capi` (declarations of Wasmtime's C API), `compiler` (in bounded time and memory), `code_cache` (on the disk),
`core_modules` (which of the two, and what programs of a language share), `optimiser` (in the background, for the next
start). Nothing here runs a guest.
"""
