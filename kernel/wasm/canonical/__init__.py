"""The canonical ABI of the Component Model: what a guest's types are, and how their values travel. Pure.

`wit` has the types, and the process interface in every version; `abi` says how they are laid out; `lift` and `lower`
compile that, by way of `source`.
"""
