"""A lab for nodes: deterministic first (`sim`), real second (`local`, `proxy`, `namespaces`)."""
