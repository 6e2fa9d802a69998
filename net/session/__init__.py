"""What two nodes owe each other, and the encrypted channel below that. Imports the folders from `base` to `contract`."""
