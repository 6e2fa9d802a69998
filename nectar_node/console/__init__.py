"""How results look and what people type, for the commands of every package; imports `base`."""
