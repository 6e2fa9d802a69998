"""Who is who: keys, name records, invitations and the registrar, without any network; imports `base`."""
