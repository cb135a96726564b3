"""What networks and contours tell of a cosmology."""

PARAMETERS = ("omega_matter", "sigma_8")
"""In the order of outputs, columns and axes everywhere."""
