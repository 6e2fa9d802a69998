"""Tests of `testnet`."""
