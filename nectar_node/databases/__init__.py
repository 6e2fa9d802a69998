"""The system processes for databases of packages: keys and values, and SQL."""
