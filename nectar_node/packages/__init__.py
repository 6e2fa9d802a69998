"""Packages: reading, review, installation, and the start at boot; imports `base` to `contract`."""
