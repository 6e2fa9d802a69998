"""What `nectar dev` decides: what changes mean, and what is to be done next; pure but for a look at the files."""
