"""How cost grows with size: the same measured at many sizes, drawn as curves: `make scale`."""
