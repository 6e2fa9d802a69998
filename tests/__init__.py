"""Tests, in folders that mirror the source; run with `make test`."""
