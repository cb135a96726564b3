"""The TRIM chapter: networks explained in spaces other than their inputs (Singh et al. 2020)."""
