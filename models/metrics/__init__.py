"""How generated pictures are measured; every number names its protocol."""
