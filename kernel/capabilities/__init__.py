"""Which process holds which capability, and which are revoked (G17 to G21). Imports `contract`."""
