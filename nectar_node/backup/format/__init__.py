"""The format of backups, as `docs/backup-format.md` has it: keys, packs, indexes, listings and heads. Pure."""
