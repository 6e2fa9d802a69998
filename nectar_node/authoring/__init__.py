"""What an author has before a package runs: a new one from a template, and its processes compiled; imports `packages`
and `toolchains`."""
