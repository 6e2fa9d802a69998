"""The same scenarios and faults in a simulation, on loopback and in network namespaces."""
