"""What the engine of backups stands on in the world: remotes, the node's folder, and threads that carry operations out."""
