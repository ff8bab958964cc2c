"""How a picture becomes training data, and how work is run. Knows no network."""
