"""The commands of installed packages, and of releases from other nodes."""
