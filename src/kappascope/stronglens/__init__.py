"""Strong lenses: optics, populations, simulated images, and networks that read them."""
