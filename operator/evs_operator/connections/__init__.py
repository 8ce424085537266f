"""EvsConnections: which one an EvsJob uses, whether it may, its credential and its status. Mirrors `jobs`."""
