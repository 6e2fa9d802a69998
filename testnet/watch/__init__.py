"""How a running testnet is: what is seen of it, what follows from that, and a screen of it."""
