"""Singh et al. (2020): attribution after a transformation (TRIM)."""
