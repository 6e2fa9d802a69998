"""Test vectors of docs/wire.md: `generate` writes wire.json, which is checked in."""
