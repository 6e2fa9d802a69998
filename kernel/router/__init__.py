"""The router: events and the time in, actions out; imports `contract` and `capabilities`."""
