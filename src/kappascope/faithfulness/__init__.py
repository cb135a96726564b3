"""Whether an explanation can be trusted: tests that take a network, a method and inputs."""
