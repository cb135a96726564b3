"""Wilde et al. (2022): what finders of strong lenses look at."""
