"""What passes between the core and its driver, and what a node is told; imports `base` and `storage`."""
