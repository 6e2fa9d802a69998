"""`nectar boot`, `config`, `start` and `kill`: how nodes, and packages on them, are started."""
