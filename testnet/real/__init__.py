"""Networks of real nodes on this machine: started, broken, watched, and gone when whoever started them is.

`local`: a registrar and its nodes; `nodes`: what can be done to those; `links`: what they reach each other through;
`socket_lab`: all of that as a `Lab`; `run`: plays a plan there; `traces`: what each node tells of its messages;
`trace_check`: the invariants in that; `lifeline`, `reaper`: nothing outlives a lab that is killed.
"""
