"""The commands for who writes packages."""
