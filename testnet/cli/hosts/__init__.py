"""The commands of a testnet over several machines.

`up`: starts one; `forwarding`: commands on a testnet whose nodes are elsewhere; `on`, `collect`: those that only such a
testnet has.
"""
