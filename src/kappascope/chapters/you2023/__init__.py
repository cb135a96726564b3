"""You et al. (2023): sum-of-parts models, which groups of pixels count."""
