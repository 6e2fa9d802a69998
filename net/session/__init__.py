"""What two nodes owe each other, and the encrypted channel below that. Imports folders from `base` to `contract`."""
