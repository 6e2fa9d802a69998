"""Remotes for backups that take virtual time and fail, and what drives the engine of backups against them. Pure."""
