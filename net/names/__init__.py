"""The identities of nodes: keys, name records, invitations and the registrar, without any network. Imports `base`."""
