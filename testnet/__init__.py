"""A lab for nodes: deterministic first (`sim`), real second (`local`, `links`, `namespaces`)."""
