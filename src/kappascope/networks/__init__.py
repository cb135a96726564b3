"""Networks as graphs of nodes: one description serves training, prediction and attribution."""
