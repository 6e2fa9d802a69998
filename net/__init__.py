"""Peers and bytes: node keys, name records, Noise sessions. Imports neither kernel, nectar_node nor testnet."""
