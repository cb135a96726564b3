"""One package a paper: its experiments, tables and figures. No chapter imports another."""
