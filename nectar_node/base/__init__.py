"""What every part of a node stands on: errors, the log, files that are ours alone; imports no folder."""
