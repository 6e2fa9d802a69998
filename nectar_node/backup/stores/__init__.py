"""What the engine of backups stands on: remotes, the node's folder, and threads that carry operations out."""
