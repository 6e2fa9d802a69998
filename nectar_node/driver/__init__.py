"""(trio) One node as an operating system process, around its core; imports everything below it."""
