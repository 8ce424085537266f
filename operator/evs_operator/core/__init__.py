"""The pure core: what is decided, and when to ask again.  No I/O, no clock, no framework in here."""
