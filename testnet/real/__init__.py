"""Networks of real nodes on this machine, which end with the program that started them.

`local`: a registrar and its nodes; `nodes`: actions on these; `links`: the proxies between them;
`socket_lab`: all of that as a `Lab`; `run`: plays a plan there; `traces`: each node's record of its messages;
`trace_check`: the invariants in that; `lifeline`, `reaper`: nothing outlives a lab that is killed.
"""
