"""Strong lenses: simulated images, networks that find them, and what these look at (wilde2022)."""
