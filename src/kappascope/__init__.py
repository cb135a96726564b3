"""kappascope: what a neural network looks at when it reads a lensing image."""

__version__ = "0.1.0"
