"""For people who test their own packages: the pytest plugin, and what its fixtures are made of; imports all labs."""
