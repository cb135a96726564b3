"""Configuration, fingerprints, integrity, resources, and what runs the scripts."""
