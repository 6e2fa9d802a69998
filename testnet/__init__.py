"""A lab for nodes: the same faults, scenarios and invariants at three levels, each trusted because the next agrees.

Floors, from below; a folder imports only folders below it: `model`; `faults`, `hostile` and `journal`; `scenarios`,
`runs`; `sim` and `real` (`real.nodes`, `real.links` below it); `sweep` and `report`; `testing`, `chaos` and `watch`;
`cli`, and on top `demo`.
"""
