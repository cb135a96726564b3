"""Attribution methods: gradients, propagation, sampling, ascent, contextual decomposition, TRIM.

``rules`` says how one node hands relevance back, ``walk`` goes through a network with them,
``methods`` names every method with its conventions, ``trim`` explains transformed inputs.
"""
