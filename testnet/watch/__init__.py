"""The state of a running testnet: snapshots, figures that follow from them, and a screen."""
