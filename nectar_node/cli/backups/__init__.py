"""The commands of backups: making and checking copies, and restoring one."""
