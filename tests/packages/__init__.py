"""The packages that come with the node: what they promise, with their real guests on whole nodes in virtual time."""
