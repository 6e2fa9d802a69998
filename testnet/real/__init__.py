"""Networks of real nodes on this machine: started, broken, watched, and gone when whoever started them is.

local: a registrar and its nodes; processes: what can be done to those; namespaces: hosts of their own for them;
impostors: nodes under a name that is another's. lab: all of that as a `Lab`; run: plays a plan there. traces: what each
node tells of its messages; hindsight: the invariants in that. lifeline, reaper: nothing outlives a lab that is killed.
"""
