"""The router: events and the time go in, actions come out. Imports `contract` and `capabilities`."""
