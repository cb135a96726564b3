"""A finished run, made up: every documented table, every figure a small picture."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kappascope.attribution.labels import label
from kappascope.files import write_csv
from kappascope.reporting import claims, figures
from kappascope.workflow import configuration

DATA_SETS = ("noiseless", "noisy")
STATISTICS = ("PS", "PC", "V0", "V1", "V2")
PARAMETERS = ("omega_matter", "sigma_8")
ROOT = Path(__file__).resolve().parents[2]


def published_table1() -> dict[tuple[str, int, str], float]:
    """Published changes of Table I, from the ledger."""
    found = {}
    for claim in claims.load_claims(ROOT / "paper/claims.yaml"):
        if claim.id.startswith("matilla2020.table1."):
            where = claim.select["where"]
            place = (where["data_set"], where["credibility"], where["statistic"])
            found[place] = float(claim.published)
    return found


def tables() -> dict[str, list[dict[str, Any]]]:
    """Every table of docs/reference/files.md, with numbers like the published ones."""
    rng = np.random.default_rng(7)
    changes = published_table1()
    areas = {"PS": 9e-3, "PC": 6e-3, "V0": 4e-3, "V1": 2.4e-3, "V2": 1.5e-3, "All": 1e-3}
    table1, area_rows = [], []
    for data_set, level in itertools.product(DATA_SETS, (68, 95)):
        for name, area in areas.items():
            if data_set == "noisy":
                area = 4 * area * (0.5 if name == "V1" else 1.0)
            change = changes[data_set, level, name]
            table1.append(
                {
                    "data_set": data_set,
                    "credibility": level,
                    "statistic": name,
                    "area_change_percent": change + rng.normal(0, 0.3),
                    "error_percent": 2.0,
                    "area_without": area,
                    "area_with": area * (1 + change / 100),
                    "error_without": 0.05 * area,
                    "error_with": 0.05 * area,
                    "network_seeds": 3,
                }
            )
            for suffix, factor in (("", 1.0), ("+DNN", 1 + change / 100)):
                area_rows.append(
                    {
                        "data_set": data_set,
                        "credibility": level,
                        "data_vector": name + suffix,
                        "area": area * factor,
                        "error": 0.05 * area * factor,
                        "area_mcmc": area * factor * 1.01,
                        "hull_touched": False,
                    }
                )
    return {
        **_saliency(),
        "table1": table1,
        "areas": area_rows,
        "correlations": _correlations(rng),
        "linear_model": _linear_model(),
        "leave_one_out": _leave_one_out(rng),
        "emulator_check": [
            {
                "data_set": data_set,
                "emulator": emulator,
                "credibility": level,
                "area": 1e-3 * factor,
                "error": 2e-5,
            }
            for data_set, level in itertools.product(DATA_SETS, (68, 95))
            for emulator, factor in (("all", 1.0), ("without_fiducial", 1.01), ("half", 1.06))
        ],
        "covariance_convergence": [
            {
                "data_set": data_set,
                "third": third,
                "credibility": level,
                "area": 1e-3 * (1 + 0.01 * third),
            }
            for data_set, level, third in itertools.product(DATA_SETS, (68, 95), (1, 2, 3))
        ],
        "network_accuracy": [row for row in _accuracy() if row["source"] == "ours"],
        "published_network_accuracy": [row for row in _accuracy() if row["source"] != "ours"],
        "published_network_leave_one_out": [
            row for row in _leave_one_out(rng) if row["data_set"] == "noiseless"
        ],
        "map_properties": [
            {
                "data_set": data_set,
                "sigma_kappa": sigma,
                "sigma_kappa_error": 1e-4,
                "sigma_expected": sigma * 1.01,
                "skewness": skewness,
                "skewness_error": 0.1,
                "pixel_noise": 0.0629,
                "smoothed_noise": 0.01457,
            }
            for data_set, sigma, skewness in (("noiseless", 0.0117, 2.2), ("noisy", 0.0187, 0.6))
        ],
    }


def singh_tables() -> dict[str, list[dict[str, Any]]]:
    """Tables of singh2020, the ones that the ledger and the paper read."""
    groups = ("all", "1", "2", "3", "4")
    bands = itertools.product(PARAMETERS, ("cd", "integrated_gradients"), groups)
    trends = itertools.product(PARAMETERS, ("cd",), ("peak_ell", "contrast", "score_at_peak"))
    errors = {"cd": 0.4, "deep_lift": 3.6, "gradient_shap": 4.0, "integrated_gradients": 4.2}
    errors |= {"input_x_gradient": 1.0, "gradient": 0.5, "cd_magnitude": 20.0}
    cases = itertools.product(("as_released", "as_told"), ("exact", "torch17"), errors)
    return {
        "band_accuracy": [
            {
                "parameter": name,
                "r_squared": 0.95,
                "error": 0.01,
                "scatter_networks": 0.01,
                "maps": 100,
                "cosmologies": 33,
                "networks": 2,
            }
            for name in PARAMETERS
        ],
        "band_peaks": [
            {
                "parameter": parameter,
                "method": method,
                "group": group,
                "value": 0.3,
                "band": 0.27,
                "ell": 3600.0,
                "error": 300.0,
                "scatter_networks": 200.0,
                "ell_published_axis": 7200.0,
                "contrast": 0.1,
                "contrast_error": 0.02,
                "tiles_sum": 8.0,
                "tiles_sum_scatter": 2.0,
                "cosmologies": 33,
                "networks": 2,
            }
            for parameter, method, group in bands
        ],
        "band_trends": [
            {
                "parameter": parameter,
                "method": method,
                "quantity": quantity,
                "slope": 0.2,
                "error": 0.1,
                "cosmologies": 33,
                "networks": 2,
            }
            for parameter, method, quantity in trends
        ],
        "table1": [
            {
                "variant": variant,
                "inverse": inverse,
                "method": method,
                "label": method,
                "error_percent": errors[method],
                "standard_error_percent": 0.3,
                "data_sets": 500,
                "points": 4000,
                "accuracy_percent": 95.4,
                "accuracy_error_percent": 0.1,
            }
            for variant, inverse, method in cases
        ],
        "topics_accuracy": [
            {
                "source": "LIAR-PLUS",
                "accuracy_percent": 59.0,
                "error_percent": 1.5,
                "majority_percent": 54.7,
                "logistic_regression_percent": 59.4,
                "shuffled_percent": 53.5,
                "statements": 1016,
                "fake_statements": 556,
                "rightly_fake": 492,
                "output": 0.3,
                "topics_together": 0.1,
                "residual": 0.2,
            }
        ],
        "digits_accuracy": [
            {
                "model": model,
                "source": "MNIST test digits",
                "accuracy_percent": 99.08,
                "error_percent": 0.1,
                "digits": 10000,
            }
            for model in ("released LeNet", "own network 1", "own network 2")
        ],
        "digits_agreement": [
            {
                "first": "released LeNet, cd",
                "second": "own network 1, cd",
                "agreement_percent": 40.0,
                "error_percent": 9.0,
                "chance_percent": 10.0,
                "components": 30,
            }
        ],
        "sounds": [
            {
                "source": "generated",
                "method": method,
                "class": 0,
                "name": "400–700 Hz",
                "band_low_hz": 400,
                "band_high_hz": 700,
                "share_inside_percent": 93.0,
                "error": 1.0,
                "power_inside_percent": 14.0,
                "peak_hz": 550,
                "peak_inside": 1,
                "kept_without_band_percent": 0.0,
                "clips": 40,
            }
            for method in ("integrated_gradients", "cd")
        ],
        "sounds_accuracy": [
            {
                "source": source,
                "classes": 5,
                "clips": 500,
                "accuracy_percent": 57.0,
                "error": 1.0,
                "chance_percent": 20.0,
            }
            for source in ("generated", "urbansound8k")
        ],
    }


def _saliency() -> dict[str, list[dict[str, Any]]]:
    table2, null_test = [], []
    names = configuration.load().matilla2020.saliency.methods[:7]
    ledger = {claim.id: claim for claim in claims.load_claims(ROOT / "paper/claims.yaml")}
    for data_set, method in itertools.product(DATA_SETS, names):
        named = {"data_set": data_set, "method": method, "label": label(method)}
        gradient = method in ("gradient", "input_x_gradient")
        null_test.append({**named, "passes_paper": int(gradient), "passes_shift": int(gradient)})
        for coefficient in ("pearson", "spearman", "kendall", "ssim"):
            published = [
                float(claim.published)
                for claim in ledger.values()
                if ".table2." in claim.id
                and (claim.select["where"]["method"], claim.select["where"]["coefficient"])
                == (method, coefficient)
            ]
            p = {"p_paper": 0.3 if gradient else 0.0, "p_shift": 0.4 if gradient else 0.001}
            table2.append(
                {
                    **named,
                    "coefficient": coefficient,
                    "mean": published[0] if published else 0.2,
                    "scatter": 0.02,
                    "error": 0.005,
                    "mean_positive": published[0] if published else 0.2,
                    "scatter_positive": 0.02,
                    "positive": 60,
                    **(dict.fromkeys(p, "") if coefficient == "ssim" else p),
                    "rejected_paper": 0.6,
                    "rejected_shift": 0.05,
                    "comparisons": 98,
                    "empty": 2,
                    "input_correlation": 0.1,
                }
            )
    shares = {
        ("noiseless", "gradient"): (86, 4),
        ("noiseless", "input_x_gradient"): (83, 12),
        ("noisy", "gradient"): (13, 36),
        ("noisy", "input_x_gradient"): (2, 68),
    }
    agreement = {
        ("input_x_gradient", "inn_lrp_epsilon_bn_z"): 0.99,
        ("gradient", "smoothgrad"): 0.8,
        ("input_x_gradient", "integrated_gradients"): 0.7,
    }
    controls = ("true_labels", "permuted_labels", "planted_low")
    return {
        "table2": table2,
        "null_test": null_test,
        "method_agreement": [
            {"data_set": data_set, "method": a, "other": b, "pearson": value, "scatter": 0.01}
            for data_set, ((a, b), value) in itertools.product(DATA_SETS, agreement.items())
        ],
        "relevance_shares": [
            {
                "data_set": data_set,
                "method": method,
                "region": region,
                "share_percent": value,
                "error": 0.3,
                "scatter_cosmologies": 2.0,
                "scatter_networks": "",
                "uncertainty": 0.3,
                "pixel_percent": 60.0,
                "networks": 1,
                "cosmologies": 33,
                "maps": 40,
            }
            for (data_set, method), values in shares.items()
            for region, value in zip(("negative", "above_3_sigma"), values, strict=True)
        ],
        "sensitivity": [
            {
                "data_set": data_set,
                "rule": "alpha_beta",
                "value": value,
                "similarity": 0.9,
                "similarity_scatter": 0.01,
                "randomized": 0.4,
                "randomized_scatter": 0.05,
            }
            for data_set, value in itertools.product(DATA_SETS, (0.0, 1.0))
        ],
        "known_answers": [
            {
                "control": control,
                "method": method,
                "label": label(method),
                "r_squared": 0.9,
                "range_low": -1.5,
                "range_high": -0.5,
                "relevance_percent": 60.0,
                "error": 1.0,
                "pixel_percent": 30.0,
                "enrichment": 2.0 if control == "planted_low" else "",
                "enrichment_error": 0.1 if control == "planted_low" else "",
                "margin": 0.5 if control == "planted_low" else "",
                "margin_error": 0.1 if control == "planted_low" else "",
                "found": "yes" if control == "planted_low" else "",
                "pearson_trained": "" if control != "permuted_labels" else 0.1,
                "pearson_trained_scatter": "" if control != "permuted_labels" else 0.1,
                "maps": 100,
                "networks": 5,
            }
            for control, method in itertools.product(controls, names)
        ],
    }


def _correlations(rng: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for data_set, name, parameter in itertools.product(DATA_SETS, STATISTICS, PARAMETERS):
        sign = 1 if parameter == "sigma_8" else -1
        size = 0.1 if data_set == "noiseless" else 0.2
        centres = np.geomspace(100, 15000, 20) if name == "PS" else np.linspace(-0.02, 0.1, 20)
        for centre in centres:
            rows.append(
                {
                    "data_set": data_set,
                    "statistic": name,
                    "bin_centre": float(centre),
                    "parameter": parameter,
                    "pearson": sign * size * float(rng.uniform(0.5, 1.0)),
                    "standard_error": 0.01,
                }
            )
    return rows


def _linear_model() -> list[dict[str, Any]]:
    matrix = {"noiseless": ((0.34, -0.26), (-0.24, 0.45)), "noisy": ((0.60, -0.56), (-0.56, 0.62))}
    return [
        {
            "data_set": data_set,
            "sample": sample,
            "network": network,
            "linear": linear,
            "pearson": matrix[data_set][i][j] * (1.3 if sample == "fitted" else 1.0),
            "standard_error": 0.02,
        }
        for data_set, sample in itertools.product(DATA_SETS, ("fitted", "held_out"))
        for (i, network), (j, linear) in itertools.product(enumerate(PARAMETERS), repeat=2)
    ]


def _leave_one_out(rng: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for data_set, cosmology, parameter in itertools.product(DATA_SETS, range(33), PARAMETERS):
        distance = 0.02 * cosmology
        size = (0.3 + distance) * (1.0 if data_set == "noiseless" else 8.0)
        on_hull = cosmology > 28
        rows.append(
            {
                "data_set": data_set,
                "cosmology": cosmology,
                "omega_matter": 0.26 + distance,
                "sigma_8": 0.8 - distance,
                "parameter": parameter,
                "error_percent": float("nan") if on_hull else size * float(rng.uniform(-1, 1)),
                "on_hull": on_hull,
                "distance_to_fiducial": distance,
            }
        )
    return rows


def _accuracy() -> list[dict[str, Any]]:
    sources = (("ours", "noiseless"), ("ours", "noisy"), ("published_network", "noiseless"))
    return [
        {
            "source": source,
            "data_set": data_set,
            "parameter": parameter,
            "rmse": 0.0104 * factor,
            "rmse_error": 0.0003,
            "r2": 0.97,
            "scatter_fiducial": 0.0070 * (1.0 if parameter == "omega_matter" else 3.04),
            "scatter_error": 0.0005,
            "bias_fiducial": 0.001,
        }
        for source, data_set in sources
        for parameter, factor in zip(PARAMETERS, (1.0, 2.04), strict=True)
    ]


def you_tables() -> dict[str, list[dict[str, Any]]]:
    """Tables of you2023, the ones that the ledger and the paper read."""
    from kappascope.chapters.you2023 import baselines, structures, theorem

    def filled(columns: tuple[str, ...], **values: Any) -> dict[str, Any]:
        return {**dict.fromkeys(columns, 0.1), **values}

    weights = [
        filled(
            structures.WEIGHT_COLUMNS,
            structure=structure,
            threshold=0.0,
            parameter=parameter,
            weighting=weighting,
            weight_percent=50.0 + 5.0 * (parameter == favoured),
            error=1.0,
            maps_with=100,
        )
        for structure, favoured in (("void", "omega_matter"), ("cluster", "sigma_8"))
        for parameter in PARAMETERS
        for weighting in structures.WEIGHTINGS
    ]
    orders = [
        filled(
            structures.ORDER_COLUMNS,
            structure=structure,
            threshold=0.0,
            weighting="per_group",
            heavier_for=parameter,
            difference_percent=difference,
            error=1.0,
        )
        for structure, parameter, difference in (
            ("void", "omega_matter", 1.4),
            ("cluster", "sigma_8", -6.0),
        )
    ]
    accuracy = [
        {
            "reader": reader,
            "mse": mse,
            "mse_error": 0.001,
            "mse_scatter": 0.001,
            "error_ratio": mse / 0.004,
            "r2_omega_matter": 0.9,
            "r2_sigma_8": 0.9,
            "additivity": 1e-7 if reader == "sum_of_parts" else "",
            "groups": "",
            "groups_with_score": "",
            "maps": 297,
            "networks": 2,
        }
        for reader, mse in (("network", 0.004), ("sum_of_parts", 0.011))
    ]
    compared = [
        filled(
            baselines.COLUMNS,
            method=method,
            label=method,
            purity=0.6 if method == "sum_of_parts" else 0.5,
            mse=0.01 if method == "sum_of_parts" else 0.02,
        )
        for method in ("random", "lime", "fresh", "sum_of_parts")
    ]
    proved = list(theorem.rows(8, 4))
    return {
        "weights": weights,
        "weight_order": orders,
        "accuracy": accuracy,
        "baselines": compared,
        "theorem": proved,
        "theorem_growth": theorem.growth_rows(proved),
    }


def wilde_tables() -> dict[str, list[dict[str, Any]]]:
    """Tables of wilde2022, the ones that the ledger and the paper read."""
    finder = [
        {"network": "mean", "measure": name, "value": 0.87, "error": 0.01, "images": 100}
        for name in ("precision", "recall", "f1", "auc")
    ]
    called = {"isolated": 2.0, "spiral": 4.0, "companions": 30.0, "merger": 5.0, "lens": 90.0}
    called |= {"compound_arcs": 76.0, "double_rings": 52.0}
    recall = [
        {"kind": kind, "colour": colour, "called_lens_percent": percent, "error": 2.0}
        for kind, colour, percent in (
            *((kind, "", percent) for kind, percent in called.items()),
            ("lens", "blue", 93.0),
            ("lens", "red", 74.0),
        )
    ]
    position = [
        {"what": f"lens: {name}", "median": value, "error": 0.1, "unit": "pixel", "images": 100}
        for name, value in (("place", 0.5), ("the image's middle", 6.0))
    ]
    shares = [
        {
            "method": method,
            "output": 1,
            "group": "lens",
            "region": "arcs",
            "percent": 30.0,
            "error": 1.0,
            "area_percent": 9.0,
            "images": 40,
        }
        for method in ("gradient", "grad_cam.relu4", "guided_grad_cam.relu4")
    ]
    probes = [
        {"probe": probe, "colour": "", "drop_percent": drop, "error": 1.0}
        for probe, drop in (
            ("arc_colour", 40.0),
            ("galaxy_colour", 20.0),
            ("arcs_removed", 60.0),
            ("arcs_covered", 50.0),
        )
    ]
    agreement = [
        {
            "method": method,
            "reference": reference,
            "median_pixels": 3.0,
            "error": 0.5,
            "within_percent": within,
            "within_error": 2.0,
            "images": 60,
        }
        for method in ("grad_cam.relu4", "occlusion_w4s4")
        for reference, within in (("locator", 60.0), ("true centre", 60.0), ("chance", 10.0))
    ]
    real = [
        {
            "system": "SLACS J0946+1006 (Jackpot)",
            "treatment": f"F814W, arcs {colour}",
            "lens_percent": 80.0,
            "error": 2.0,
            "column_pixels": 0.1,
            "row_pixels": 0.1,
            "einstein_radius_arcsec": 1.3,
            "compound_percent": 20.0,
            "own_noise": 0.5,
        }
        for colour in ("as red as the galaxy", "blue")
    ]
    return {
        "finder": finder,
        "recall": recall,
        "position": position,
        "shares": shares,
        "probes": probes,
        "agreement": agreement,
        "real": real,
    }


def rosenzweig_tables() -> dict[str, list[dict[str, Any]]]:
    """Tables of rosenzweig2021, the ones that the ledger and the paper read."""
    told = {
        "best probability": {"nonlinear": 99.0, "linear": 80.0},
        "driven from 1 % above 95 %": {"nonlinear": 100.0, "linear": 50.0},
        "smallest threshold": {"nonlinear": 0.0, "linear": 0.0},
        "largest threshold": {"nonlinear": 95.0, "linear": 95.0},
        "lowered by blurring": {"nonlinear": 87.5, "linear": 60.0},
        "overlap of the last masks": {"both": 0.2},
    }
    summary = [
        {
            "subject": subject,
            "rank": rank,
            "method": method,
            "statement": statement,
            "value": value,
            "error": 2.0,
            "unit": "%",
            "examples": 40,
        }
        for subject in ("galaxies", "digits")
        for rank in ("first", "second")
        for statement, values in told.items()
        for method, value in values.items()
    ]
    return {"summary": summary}


def make_run(folder: Path) -> Path:
    """Fill ``folder`` with a made-up run."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    config = configuration.load(root=ROOT).model_dump()
    configuration.write_effective(config, folder / "config.yaml")
    for name, rows in tables().items():
        write_csv(folder / f"matilla2020/{name}.csv", rows)
    for name, rows in singh_tables().items():
        write_csv(folder / f"singh2020/{name}.csv", rows)
    for name, rows in you_tables().items():
        write_csv(folder / f"you2023/{name}.csv", rows)
    for name, rows in wilde_tables().items():
        write_csv(folder / f"wilde2022/{name}.csv", rows)
    for name, rows in rosenzweig_tables().items():
        write_csv(folder / f"rosenzweig2021/{name}.csv", rows)
    listed = figures.stems(DATA_SETS).items()
    names = [f"{chapter}/{stem}" for chapter, stems in listed for stem in stems]
    for name in names:
        figure, axes = plt.subplots(figsize=(7, 3.5))
        axes.plot(np.sin(np.arange(30)))
        axes.set_title(name)
        for suffix in ("png", "pdf"):
            figure.savefig(folder / f"{name}.{suffix}", dpi=60)
        plt.close(figure)
    rows = claims.check(claims.load_claims(ROOT / "paper/claims.yaml"), folder, config)
    claims.write(folder / "claims.csv", rows)
    return folder


@pytest.fixture(scope="session")
def fake_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a made-up, finished run."""
    return make_run(tmp_path_factory.mktemp("results") / "default")
