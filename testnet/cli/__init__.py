"""The command groups of the lab, `sim` and `testnet`; `nectar` finds them by the entry points in pyproject.toml."""
