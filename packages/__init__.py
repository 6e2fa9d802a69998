"""The packages that come with the node, and `build`, which compiles their guests."""
