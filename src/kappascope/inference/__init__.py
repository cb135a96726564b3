"""From measured data vectors to credible regions: emulator, likelihood, areas, MCMC.

One convention runs through: a posterior over (omega_matter, sigma_8) is a function of emulator
*weights*. The emulator is linear in the mean data vectors, so a point in parameter space is fully
described by the weights (one a cosmology) that turn mean vectors into the vector expected there;
they are computed once, and a bootstrap only changes what they multiply. Nothing here imports JAX.
"""
