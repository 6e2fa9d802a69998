"""The values that cross the kernel's boundaries, and a process's plain state. Imports no other folder of the
project.
"""
