"""The links between real nodes: proxies that know who dials whom, and apply faults.

`rules`: the faults that hold now; `stream`: one direction of a connection; `fabric`: all connections of a testnet;
`thread`: for programs without an event loop; `process`, `python -m testnet.real.links FOLDER`: a process of its own
beside the nodes; `control`: what it can be asked; `client`: the asking end; `hosts`: the same between network
namespaces. Imports `real.nodes`, `faults` and `model`.

Where there is no fault they cost a copy: `nectar send` of 256 MiB is 0.98 times as fast as between nodes that reach
each other directly, on two cores that are busy with other things as well.
"""
