"""Commands of the lab, entry points that `nectar` finds: `sim`."""
