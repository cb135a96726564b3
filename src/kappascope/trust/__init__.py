"""Can an explanation be trusted? Tests that take a network, an attribution and maps."""
