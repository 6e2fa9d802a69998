"""The file functions of WASI preview 1 over a drive that is an object (`kernel.contract.drive`). They mean what
Wasmtime's mean on Linux, errno for errno. Pure, and without any Wasm: between this and a guest's memory lie
`kernel.wasm.preview1_files` and, for WASI 0.2, `kernel.wasm.wasi.files`.

`paths`       finds what a path names, and never leaves the folder where it begins
`changes`     makes, removes, renames and links what paths name
`open_files`  the files that one guest has open
"""
