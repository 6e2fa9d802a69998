"""A lab for nodes: the same faults, scenarios and invariants at three levels, each trusted because the next one agrees.

`sim`: whole nodes in virtual time. `real`: nodes as processes of this machine, on loopback or in namespaces; `links`
are what they reach each other through. `lab` is what both offer a scenario, `play` how one is played. `chaos` and
`watch` are for testnets that run, `testing` and `pytest_plugin` for the tests of a package, `report` draws journals.
"""
