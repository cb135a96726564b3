"""What a network looks at: attribution methods, and tests of whether to believe them.

``rules`` says how one node hands relevance back, ``walk`` goes through a network with them,
``methods`` names every method with its conventions, ``similarity`` and ``randomization`` test them,
``relevance`` sorts relevance by convergence.
"""
