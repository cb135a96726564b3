"""Light cones from particle-mesh simulations: background, N-body, lens planes, ray-tracing."""
