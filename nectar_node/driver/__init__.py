"""(trio) One node as a process of the operating system, around its core; imports all below it."""
