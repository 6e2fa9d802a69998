"""What nodes say to each other about releases, and the bounds of that. Pure."""
