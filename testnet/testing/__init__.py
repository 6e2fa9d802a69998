"""For people who test their own packages: what the fixtures of `testnet.pytest_plugin` are made of."""
