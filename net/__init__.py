"""Peers and bytes: messages between named nodes, over Noise sessions. Pure but for the three files marked trio.

The whole:   `peers` (Network, which a node programs against), with `config`, `events`, `errors`, `limits`.
Peers:       `session_table` (who there is), `sessions` (how each is reached), `session` (what two nodes owe each
             other), `streams` and `inbox` (many messages over one session), `shares` (of a peer's credit), `reach` and
             `ways` (dial, back off, give up), `penalties`, `probes` and `vitals` (what people see).
Connections: `switchboard` (the table), `reception` (what comes on them), `handlers` (what each frame does),
             `connection` (handshake, then records), `handshake` (Noise), `admission` (whom to believe), `stall` (who
             gets on), `records` (encryption), `wire` (frames; docs/wire.md).
Names:       `names`, `identity`, `keyfile`, `directory` (records and caches), `resolver` (asks the registrar),
             `registrar` (is it), `service` (answers).
Routers:     `relay` (is one: places and circuits), `circuits` (is reached through some, or reaches others so),
             `own_routers` (through which).
World:       `transport` (protocols), `tcp` and `driver` (trio), `source` (which address a dial comes from).

Imports neither kernel, nectar_node nor testnet.
"""
