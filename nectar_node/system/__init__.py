"""The system processes of a node, one file each; all pure: messages and outcomes in, replies and disk jobs out."""
