"""The file functions of WASI preview 1 over a drive that is an object (`kernel.contract.drive`), with what Wasmtime's have
on Linux as their meaning, errno for errno. Pure, and without any Wasm: `kernel.wasm.wasi_files` is between this and a
guest's memory.

`paths`       finds what a path names, and never leaves the folder where it begins
`changes`     makes, removes, renames and links what paths name
`open_files`  the files that one guest has open
"""
