"""What a package's `api/*.wit` says: the messages of its processes, their types, and these as JSON."""
