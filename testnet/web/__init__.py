"""The page of a testnet: the network as a picture in a browser, with faults, chaos and reports of journals."""
