"""Reads .wasm files: a core module (`module`), and how a component's core modules are linked (`component`). Pure."""
