"""Peers that speak the protocol correctly, and choose the worst that it lets them choose; imports `model`.

`connection` is one connection, `peer` one attacker, `behaviours` its choices; those are pure: bytes and
time in, bytes and dials out, and all chance from one seed. `testnet.sim.attacker` drives them in a simulation,
`sockets` over TCP, and `process` is an attacker beside real nodes. `forgery` makes up what an owner can make up.
"""
