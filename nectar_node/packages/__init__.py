"""Packages: read, reviewed, installed, started at a boot; imports `base` to `contract`."""
