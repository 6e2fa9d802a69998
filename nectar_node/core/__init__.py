"""One node, pure: kernel, guests, sessions and system processes in one object; imports all below it."""
