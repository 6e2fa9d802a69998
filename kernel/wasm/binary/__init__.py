"""Reads .wasm files: a core module (`module`), and how the core modules of a component are linked (`component`). Pure."""
