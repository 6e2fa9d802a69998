"""What processes ask servers of the internet: URLs, redirects, addresses, whose turn it is. Pure."""
