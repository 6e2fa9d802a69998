"""The values that cross the kernel's boundaries, and a process's plain state; imports nothing of ours."""
