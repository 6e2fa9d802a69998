"""What the commands of `nectar sim` do and print: sweeps, exhausting, shrinking, explaining, and runs once more."""
