"""Names of attribution methods as tables and figures print them."""

LABELS = {
    "gradient": "Gradient",
    "input_x_gradient": "Input×gradient",
    "inn_guided_backprop": "Guided backpropagation",
    "guided_backprop": "Guided backpropagation",
    "inn_deconvnet": "Deconvnet",
    "deconvnet": "Deconvnet",
    "deep_taylor_bn_identity": "Deep Taylor decomposition",
    "inn_lrp_epsilon_bn_z": "LRP-ε",
    "inn_lrp_alpha1beta0_bn_z": "LRP-αβ",
    "inn_lrp_alpha2beta1_bn_z": "LRP-αβ, α = 2",
    "integrated_gradients": "Integrated gradients",
    "smoothgrad": "SmoothGrad",
    "true_gradient": "True gradient",
}


def label(method: str) -> str:
    """Return what to call a method; a method without a label goes by its own name."""
    return LABELS.get(method, method)
