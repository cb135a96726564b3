"""Names of attribution methods as tables and figures print them."""

import re
from collections.abc import Iterator, Sequence

from kappascope.errors import nearest, shown

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
    "gradient_shap": "SHAP",
    "deep_lift": "DeepLift",
    "lime": "LIME",
    "kernel_shap": "Kernel SHAP",
    "rise": "RISE",
    "fresh": "FRESH",
    "deep_dream": "Deep Dream",
    "nonlinear_saliency": "Nonlinear saliency",
    "nonlinear_saliency_down": "Nonlinear saliency, downwards",
    "linear_saliency": "Linear saliency",
    "sum_of_parts": "Sum of parts",
    "cd": "Contextual decomposition",
    "true_gradient": "True gradient",
}


NAMES = (
    *("gradient", "input_x_gradient", "smoothgrad", "integrated_gradients"),
    *("gradient_shap", "deep_lift"),
    *("guided_backprop", "deconvnet", "inn_guided_backprop", "inn_deconvnet"),
    *("lrp_0", "lrp_epsilon", "lrp_alpha1beta0", "lrp_alpha2beta1", "lrp_zplus"),
    *("lrp_zplus_nobias", "lrp_gamma", "lrp_composite", "inn_lrp_epsilon_bn_z"),
    *("inn_lrp_alpha1beta0_bn_z", "inn_lrp_alpha2beta1_bn_z", "deep_taylor"),
    *("deep_taylor_bn_identity", "deep_taylor_bn_gradient", "deep_taylor_folded"),
    *("lime", "kernel_shap", "rise", "fresh"),
    *("deep_dream", "nonlinear_saliency", "nonlinear_saliency_down", "linear_saliency"),
)
"""Names of ``methods.METHODS``, for those who must not import jax."""
PATTERN = r"guided_grad_cam\..+|occlusion_w\d+s\d+|(lime|kernel_shap)_w[1-9]\d*"
"""Further names of methods that give every pixel a value."""


def label(method: str) -> str:
    """Return what to call a method; a method without a label goes by its own name."""
    return LABELS.get(method, method)


def check(
    key: str, methods: Sequence[str], more: Sequence[str] = (), coarse: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield (key, problem) for names that are no method which gives every pixel a value.

    Parameters
    ----------
    more : further names that are allowed there.
    coarse : whether maps of Grad-CAM are brought to the images' size there.

    """
    known = (*NAMES, *more)
    for name in methods:
        window = re.fullmatch(r"occlusion_w(\d+)s(\d+)", name)
        if window and not 0 < int(window[2]) <= int(window[1]):
            yield (
                key,
                f"got {name}, whose windows leave pixels out; the stride must be from 1 to "
                f"{window[1]}",
            )
        allowed = coarse and name.startswith("grad_cam.")
        if name not in known and not allowed and not re.fullmatch(PATTERN, name):
            yield (
                key,
                f"got {shown(name)}; kappascope attribute --list has the methods that give every "
                f"pixel a value{nearest(name, known)}",
            )
