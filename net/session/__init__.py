"""What two nodes owe each other, and the encrypted channel below that; imports `base` to `contract`."""
