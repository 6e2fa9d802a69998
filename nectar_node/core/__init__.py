"""One node as a pure object: kernel, guests, sessions and system processes. Imports every folder below it."""
