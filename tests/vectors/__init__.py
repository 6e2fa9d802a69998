"""Test vectors of docs/wire.md: `generate` writes wire.json; noise.json is the published one of the Noise suite."""
