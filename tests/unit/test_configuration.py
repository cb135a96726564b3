"""Config: layers, messages, impossible values, option reference, cosmology table."""

import copy
import datetime
import json
import shutil
import subprocess
import sys

import numpy as np
import pydantic
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import Delaunay
from typed import section

from kappascope import files
from kappascope.chapters.wilde2022.config import NODES
from kappascope.cosmology import table
from kappascope.errors import InputError
from kappascope.workflow import configuration, reference
from kappascope.workflow.config import SELECTORS, spec_of

TIERS = ("default", "smoke", "desk", "paper")
VARIANTS = ("initial_batch_norm", "noise_10_per_arcmin2", "smoothing_2arcmin")
LEAVES = [(key, option) for key, option in configuration.options() if "properties" not in option]


def nested(key, value):
    for name in reversed(key.split(".")):
        value = {name: value}
    return value


@pytest.fixture
def copy_of_root(root, tmp_path):
    """The config alone, to break at will."""
    shutil.copytree(root / "config", tmp_path / "config")
    return tmp_path


# ------------------------------------------------------------------------- schema and files


def base_values(root):
    return yaml.safe_load((root / "config/config.yaml").read_text())


def test_the_default_tier_has_every_key_in_the_order_of_the_models(root):
    base = base_values(root)
    inside = base["nulls"].pop("overrides")
    listed = [".".join(path) for path, _ in configuration._leaves(base)] + ["nulls.overrides"]
    assert inside
    assert sorted(listed) == sorted(key for key, _ in LEAVES if key not in SELECTORS)


def test_a_section_knows_only_what_it_was_given():
    part = section("maps", pixels=64)
    assert part.pixels == 64
    with pytest.raises(AttributeError, match="smoothing_arcmin"):
        _ = part.smoothing_arcmin
    plain = {"singh2020.bands": {"maps": 3}, "matilla2020": {"saliency": {"maps": 2}}, "n": 1}
    spec = spec_of(plain)
    assert (spec.bands.maps, spec.matilla2020.saliency.maps, spec.n) == (3, 2, 1)


def test_sections_cannot_be_changed():
    with pytest.raises(pydantic.ValidationError):
        configuration.load().network.width = 9


def test_every_key_has_description_unit_and_default():
    for key, option in configuration.options():
        assert option["description"].strip().endswith("."), key
        if "properties" in option:
            assert option["additionalProperties"] is False, key
        else:
            assert option["unit"] and "default" in option, key


def test_the_schema_is_a_schema(root):
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(configuration.schema())
    assert configuration.schema()["additionalProperties"] is False


def test_the_option_reference_is_up_to_date(root):
    written = (root / "config/README.md").read_text(encoding="utf-8")
    assert written == reference.reference(), "run: make config-reference"


def test_the_option_reference_names_every_key(root):
    text = (root / "config/README.md").read_text(encoding="utf-8")
    assert [key for key, _ in LEAVES if f"| `{key}` |" not in text] == []


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("variants", [(), *[(name,) for name in VARIANTS], VARIANTS])
def test_every_tier_with_every_variant_is_valid(tier, variants):
    config = configuration.load(tier, variants)
    assert config.run == "-".join([tier, *variants])
    for key, option in LEAVES:
        value = config
        for name in key.split("."):
            value = getattr(value, name)
        kinds = option["type"] if isinstance(option["type"], list) else [option["type"]]
        if kinds == ["number"]:
            assert isinstance(value, float), key


@pytest.mark.parametrize("kind", ["tiers", "variants"])
def test_tiers_and_variants_hold_only_what_differs(root, kind):
    base = base_values(root)
    for file in (root / "config" / kind).glob("*.yaml"):
        for path, value in configuration._leaves(yaml.safe_load(file.read_text())):
            there = base
            for name in path:
                there = there[name]
            assert there != value, f"{file.name}: {'.'.join(path)} only repeats the default"


# ------------------------------------------------------------------------------- layering


def test_layers_are_laid_in_order_tier_variant_given():
    config = configuration.load(
        "paper", ["noise_10_per_arcmin2"], {"noise": {"galaxies_per_arcmin2": 12}}
    )
    assert config.maps.pixels == 512
    assert config.noise.model_dump() == {"galaxies_per_arcmin2": 12.0, "ellipticity_rms": 0.4}
    assert config.statistics.kappa_range_noisy == [-0.075, 0.147]


def test_a_given_run_name_stays():
    assert configuration.load("smoke", VARIANTS[:1], {"run": "mine"}).run == "mine"


def test_command_line_selects_and_overrides():
    given_ = {"tier": "smoke", "variants": ",".join(VARIANTS), "network": {"width": 5}}
    config = configuration.from_command_line(given_)
    assert config.variants == list(VARIANTS)
    assert config.network.width == 5
    assert config.network.epochs == 2
    assert given_["tier"] == "smoke"  # what Snakemake handed over is left alone


def test_the_effective_config_runs_the_same_again(tmp_path):
    config = configuration.load("smoke", VARIANTS[:1], {"seed": 3})
    configuration.write_effective(config.model_dump(), tmp_path / "config.yaml")
    again = configuration.from_command_line(files.read_yaml(tmp_path / "config.yaml"))
    assert again == config


def test_an_unchanged_effective_config_is_not_written_again(tmp_path):
    path = tmp_path / "config.yaml"
    configuration.write_effective(configuration.load().model_dump(), path)
    before = path.stat().st_mtime_ns
    configuration.write_effective(configuration.load().model_dump(), path)
    assert path.stat().st_mtime_ns == before
    configuration.write_effective(configuration.load("smoke").model_dump(), path)
    assert files.read_yaml(path)["run"] == "smoke"


def test_text_inside_a_command_line_mapping_becomes_what_it_says():
    given_ = {
        "network": {"width": "4"},
        "maps": {"path": "null"},
        "simulation": {"fixed_amplitude": "false"},
        "statistics": {"ell_range": ["200", "9e3"], "beyond": []},
        "run": "7",
    }
    config = configuration.from_command_line(given_)
    assert config.network.width == 4
    assert config.maps.path is None
    assert config.simulation.fixed_amplitude is False
    assert config.statistics.ell_range == [200.0, 9000.0]
    assert config.run == "7"


def test_numbers_get_the_type_of_the_schema():
    config = configuration.load(
        overrides={
            "network": {"kernel_l2": "1e-3", "width": 4.0},
            "noise": {"ellipticity_rms": 0.3},
        }
    )
    assert config.network.kernel_l2 == 1e-3
    assert config.network.width == 4 and isinstance(config.network.width, int)


values = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
mappings = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(mappings, mappings)
def test_merging_keeps_what_is_not_overridden_and_changes_no_input(base, over):
    before = copy.deepcopy((base, over))
    merged = files.merge(base, over)
    assert (base, over) == before
    assert files.merge(base, {}) == base
    assert files.merge(merged, over) == merged
    assert set(merged) == set(base) | set(over)
    for key in set(base) - set(over):
        assert merged[key] == base[key]


# ------------------------------------------------------------------------------- messages


def message(**given_):
    with pytest.raises(InputError) as caught:
        configuration.load(**given_)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_an_unknown_tier_names_those_that_exist():
    text = message(tier="smok")
    assert '"smok"' in text and "did you mean smoke?" in text
    for tier in TIERS:
        assert tier in text


def test_an_unknown_variant_names_those_that_exist():
    text = message(variants=["noise_10"])
    assert "did you mean noise_10_per_arcmin2?" in text and "smoothing_2arcmin" in text


@pytest.mark.parametrize("tier", ["../config", "", "tiers/smoke"])
def test_a_tier_is_a_name_not_a_path(tier):
    if tier:
        assert "there is" in message(tier=tier)
    else:
        assert configuration.load(tier).run == "default"


@pytest.mark.parametrize(
    ("overrides", "key", "near"),
    [
        ({"network": {"widht": 8}}, "network.widht", "network.width"),
        ({"width": 8}, "width", "network.width"),
        ({"noize": {}}, "noize", "noise"),
        ({"network": {"learning_rate": 1}}, "network.learning_rate", "network.peak_learning_rate"),
        ({"cosmology": {"fiducial": {"sigma8": 1}}}, "sigma8", "cosmology.fiducial.sigma_8"),
        ({"maps": {"smoothing": 1}}, "maps.smoothing", "maps.smoothing_arcmin"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(overrides, key, near):
    text = message(overrides=overrides)
    assert key in text and "unknown key" in text and f"did you mean {near}?" in text


IMPOSSIBLE = [
    ("network.width", "wide", "an integer >= 1"),
    ("network.width", 0, "an integer >= 1"),
    ("network.width", 2.5, "an integer >= 1"),
    ("network.width", True, "an integer >= 1"),
    ("network.width", None, "an integer >= 1"),
    ("network.padding", "same", "did you mean SAME?"),
    ("network.architecture", "resnet", "did you mean resnet18?"),
    ("network.momentum", 1.0, "< 1"),
    ("network.held_out_maps", 0, ">= 1"),
    ("network", 4, "a section with the keys"),
    ("maps", None, "a section with the keys"),
    ("maps.source", "columbai", "did you mean columbia?"),
    ("maps.path", 5, "reads as a number, and its text is lost"),
    ("noise.galaxies_per_arcmin2", float("nan"), "a number > 0"),
    ("noise.galaxies_per_arcmin2", float("inf"), "a number > 0"),
    ("noise.galaxies_per_arcmin2", -1, "a number > 0"),
    ("simulation.fixed_amplitude", "yes", "true or false"),
    ("simulation.mesh", 161, "even"),
    ("simulation.ray_tracing", "full", "one of born, multi_plane"),
    ("statistics.ell_range", [100], "2 numbers, increasing"),
    ("statistics.ell_range", [200, 100], "the first must be the smaller"),
    ("statistics.ell_range", [0, 100], "above 0"),
    ("statistics.kappa_range_noisy", [0.1, 0.1], "the first must be the smaller"),
    ("statistics.names", [], "at least one"),
    ("statistics.names", ["v0", "v0"], "none twice"),
    ("statistics.names", ["power"], "the registry holds power_spectrum"),
    ("matilla2020.saliency.methods", ["gradent"], "did you mean gradient?"),
    ("matilla2020.saliency.methods", ["grad_cam.relu1"], "give every pixel a value"),
    ("singh2020.bands.methods", ["gradent"], "did you mean gradient?"),
    ("singh2020.sounds.methods", ["cdd"], "did you mean cd?"),
    ("singh2020.bands.band_range", [0.9, 0.1], "the first must be the smaller"),
    ("singh2020.bands.smoothing_arcmin", 0.5, "use 0 (as they are) or at least 1.2 pixels"),
    ("singh2020.sounds.source", "urbansound8k", "give its folder"),
    ("statistics.beyond", ["v0"], "which statistics.names already holds"),
    ("data_sets", ["noisey"], "did you mean noisy?"),
    ("matilla2020.constraints.mcmc_walkers", 7, "even"),
    ("seed", -1, "an integer >= 0"),
    ("run", "../elsewhere", "letters, digits"),
    ("cosmology.number", 102, "has 101 rows"),
    ("cosmology.number", 3, ">= 5"),
    ("cosmology.table", "none.csv", "cannot be read"),
    ("cosmology.fiducial", {"omega_matter": 0.3}, "the nearest is"),
    ("cosmology.omega_baryon", 0.19, "matter includes the baryons"),
    ("maps.pixel_arcmin", 0.9, "at least 1.2 are needed"),
    ("maps.covariance", 104, "at least 105 maps"),
    ("maps.source", "cosmogrid", "6.87 arcmin"),
    ("maps.source", "columbia", "give the folder"),
    ("simulation.mesh", 8, "simulation.particles is"),
    ("simulation.batches", 102, "at most one job a cosmology"),
    ("network.padding", "VALID", "348"),
    ("network.batch", 10**6, "training maps"),
]


@pytest.mark.parametrize(("key", "value", "told"), IMPOSSIBLE)
def test_an_impossible_value_is_refused_with_what_is_allowed(key, value, told):
    text = message(overrides=nested(key, value))
    assert told in text
    assert "--config or --configfile" in text or key in ("maps.source", "singh2020.sounds.source")


def test_boundaries_are_allowed():
    configuration.load(overrides={"maps": {"covariance": 105}})
    configuration.load(overrides={"maps": {"pixel_arcmin": 1 / 1.2 - 1e-9}})
    configuration.load(overrides={"maps": {"pixels": 348}, "network": {"padding": "VALID"}})


def test_a_mistake_in_a_variant_names_its_file(copy_of_root):
    (copy_of_root / "config/variants/mine.yaml").write_text("network: {width: wide}\n")
    with pytest.raises(
        InputError, match=r"^config/variants/mine\.yaml: network\.width: got \"wide\""
    ):
        configuration.load(variants=["mine"], root=copy_of_root)


def test_broken_yaml_names_file_and_line(copy_of_root):
    (copy_of_root / "config/variants/mine.yaml").write_text("network:\n  width: [1\nseed: 2\n")
    with pytest.raises(InputError, match=r"config/variants/mine\.yaml, line 3: not valid YAML"):
        configuration.load(variants=["mine"], root=copy_of_root)


def test_a_variant_that_is_no_mapping_is_told(copy_of_root):
    (copy_of_root / "config/variants/mine.yaml").write_text("- 1\n")
    with pytest.raises(InputError, match="expected keys and values"):
        configuration.load(variants=["mine"], root=copy_of_root)


def test_an_incomplete_config_is_told(copy_of_root):
    base = base_values(copy_of_root)
    del base["network"]["width"]
    (copy_of_root / "config/config.yaml").write_text(yaml.safe_dump(base))
    expected = r"network\.width: missing; give an integer >= 1 \[channel\]"
    with pytest.raises(InputError, match=expected):
        configuration.load(root=copy_of_root)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (2.1, "a number"),
        (20241130, "a number"),
        (10, "a number"),
        (True, "true or false"),
        (None, "nothing"),
        (datetime.date(2024, 11, 30), "a date"),
    ],
)
def test_text_that_yaml_took_for_something_else_is_refused(value, kind):
    """2.10 comes here as 2.1 and would write into the folder of another run."""
    text = message(overrides={"run": value})
    assert f"what was written reads as {kind}, and its text is lost; quote it" in text
    assert configuration.load(overrides={"run": "2.10"}).run == "2.10"


def test_windows_that_leave_pixels_out_are_refused_before_any_job():
    text = message(overrides=nested("matilla2020.saliency.methods", ["occlusion_w2s5"]))
    assert (
        "got occlusion_w2s5, whose windows leave pixels out; the stride must be from 1 to 2" in text
    )


@pytest.mark.parametrize("given_", [{"tier": 3}, {"variants": {"a": 1}}, {"variants": [1]}])
def test_selectors_of_the_wrong_type_are_told(given_):
    with pytest.raises(InputError, match="got"):
        configuration.from_command_line(given_)


def test_a_box_smaller_than_the_field_is_a_warning_only():
    assert configuration.warnings(configuration.load()) == []
    told = configuration.warnings(configuration.load(overrides={"simulation": {"box_mpc_h": 20}}))
    assert len(told) == 1 and told[0].startswith("simulation.box_mpc_h: got 20")


def test_config_can_be_read_without_jax_or_snakemake():
    code = (
        "import sys; from kappascope.workflow import configuration; configuration.load('smoke'); "
        "sys.exit(any(name in sys.modules for name in ('jax', 'snakemake', 'pandas', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---------------------------------------------------------------------------- cosmologies


@pytest.fixture(scope="module")
def rows():
    return table.read(configuration.ROOT / "config/cosmologies.csv")


def test_there_are_79_published_and_22_filled_cosmologies(rows):
    origins = [row["origin"] for row in rows]
    assert (origins.count("published"), origins.count("filled")) == (79, 22)
    assert sorted(row["cosmology"] for row in rows) == list(range(101))
    assert [row["order"] for row in rows] == list(range(101))
    assert len({(row["omega_matter"], row["sigma_8"]) for row in rows}) == 101


def test_published_cosmologies_are_the_known_ones(rows, real_data):
    known = np.loadtxt(real_data / "cnn_outputs/cosmologies_79_of_101.txt")
    ours = [(r["omega_matter"], r["sigma_8"]) for r in rows if r["origin"] == "published"]
    assert sorted(ours) == sorted(map(tuple, known.tolist()))


def test_the_fiducial_comes_first(rows):
    assert table.is_fiducial(rows[0], configuration.load().cosmology.fiducial)


def plane(selection):
    omega_matter = np.array([row["omega_matter"] for row in selection])
    sigma_8 = np.array([row["sigma_8"] for row in selection])
    return np.stack([omega_matter, sigma_8 * (omega_matter / 0.3) ** 0.6], axis=1)


def test_filled_cosmologies_lie_inside_the_published_hull(rows):
    published = plane([row for row in rows if row["origin"] == "published"])
    filled = plane([row for row in rows if row["origin"] == "filled"])
    assert (Delaunay(published).find_simplex(filled) >= 0).all()


@pytest.mark.parametrize("number", [9, 33, 101])
def test_every_nested_grid_holds_the_degeneracy_band(rows, number):
    grid = plane(rows[:number])
    omega_matter = np.linspace(0.2, 0.5, 31)
    for across in (-0.08, 0.0, 0.08):
        band = np.stack([omega_matter, np.full(31, grid[0, 1] + across)], axis=1)
        assert (Delaunay(grid).find_simplex(band) >= 0).all(), across


@pytest.mark.parametrize("number", [33, 101])
def test_nested_grids_are_denser_near_the_fiducial(rows, number):
    grid = plane(rows[:number])
    distance = np.linalg.norm((grid - grid[0]) / (0.1, 0.1), axis=1)
    inner, outer = (distance < 1).sum(), ((distance >= 1) & (distance < 2)).sum()
    assert inner > outer / 3 * 1.5  # the ring has three times the disc's area


def test_the_table_is_what_its_script_makes(root, tmp_path):
    (tmp_path / "make_cosmologies.py").write_text((root / "config/make_cosmologies.py").read_text())
    shutil.copy(root / "config/cosmologies.csv", tmp_path)
    subprocess.run([sys.executable, tmp_path / "make_cosmologies.py"], check=True)
    made = (tmp_path / "cosmologies.csv").read_text()
    assert made == (root / "config/cosmologies.csv").read_text()


def test_the_table_of_singh2020_is_what_its_script_makes(root, tmp_path):
    script, made = "make_cosmologies_singh2020.py", "cosmologies_singh2020.csv"
    (tmp_path / "config").mkdir()
    (tmp_path / "paper/published").mkdir(parents=True)
    shutil.copy(root / "config" / script, tmp_path / "config")
    shutil.copy(root / "paper/published/singh2020_table_s1.csv", tmp_path / "paper/published")
    subprocess.run([sys.executable, tmp_path / "config" / script], check=True)
    ours = (root / "config" / made).read_text()
    assert (tmp_path / "config" / made).read_text() == ours
    variant = configuration.load("default", variants=["singh2020_cosmologies"])
    assert variant.cosmology.number == len(ours.splitlines()) - 1 == 10


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cosmology,omega_matter\n0,0.3\n", "no column sigma_8"),
        ("cosmology,omega_matter,sigma_8,origin,order\n0,x,0.8,a,0\n", "line 2"),
        ("cosmology,omega_matter,sigma_8,origin,order\n0,1.3,0.8,a,0\n", "outside"),
        (
            "cosmology,omega_matter,sigma_8,origin,order\n0,0.3,0.8,a,0\n0,0.2,0.8,a,1\n",
            "same cosmology",
        ),
    ],
)
def test_a_bad_table_is_told(tmp_path, text, told):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        table.read(path)


def test_the_schema_for_editors_is_up_to_date(root):
    text = (root / "config/schema.json").read_text(encoding="utf-8")
    assert text == reference.schema_text(), "run: make config-reference"
    assert json.loads(text) == configuration.schema()
    first = (root / "config/config.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=schema.json"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"images": {"bands": ["H", "VIS"]}}, ("images.bands", "[H, VIS]", "from blue to red")),
        (
            {"networks": {"batch": 50}, "images": {"training": 40}},
            ("networks.batch", "50", "40 training images"),
        ),
        ({"explanation": {"methods": ["grad_cam.relu9"]}}, ("grad_cam.relu9", "relu4")),
        ({"explanation": {"methods": ["occlusion_w99s1"]}}, ("occlusion_w99s1", "48 pixels")),
        ({"explanation": {"methods": ["nonlinear_salience"]}}, ("methods", "did you mean")),
        ({"images": {"reach_arcsec": 4.5}}, ("images.reach_arcsec", "4.5", "4.8 arcsec")),
        ({"images": {"source_magnitudes": [25, 22]}}, ("images.source_magnitudes", "brighter")),
        ({"own_images": "nowhere.npz"}, ("own_images", "nowhere.npz", "no file")),
    ],
)
def test_lenses_that_cannot_be_are_refused(given, words):
    with pytest.raises(InputError) as told:
        configuration.load(overrides={"wilde2022": given})
    assert "wilde2022." in str(told.value)
    assert all(word in str(told.value) for word in words), told.value


def test_nodes_of_lens_networks_are_known():
    from kappascope.networks.architectures import lens_finder

    network = lens_finder(48, 4, 4, 2)
    with_pixels = [node["name"] for node in network.nodes if node["kind"] in ("conv", "relu")]
    with_pixels += [node["name"] for node in network.nodes if node["kind"] == "avg_pool"]
    assert set(NODES) == set(with_pixels) - {"relu5"}


# ---------------------------------------------------------------------------------- null runs


@pytest.mark.parametrize("tier", configuration.available("tier"))
def test_a_null_run_differs_in_its_networks_alone(tier):
    config = configuration.load(tier)
    for kind in config.nulls.kinds:
        null = configuration.null_of(config, kind)
        assert null.run == f"{config.run}/null/{kind}" and null.nulls.kinds == []
        assert null.learns == {"untrained": "nothing"}.get(kind, kind) != config.learns
        for name in configuration.COMMON:
            assert getattr(null, name) == getattr(config, name)
        assert null.wilde2022.images == config.wilde2022.images


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"maps": {"pixels": 64}}, "nulls.overrides: got maps, which null runs have in common"),
        ({"wilde2022": {"images": {"pixels": 9}}}, "nulls.overrides: got wilde2022.images"),
        ({"network": {"width": -3}}, "nulls.overrides: network.width: got -3"),
        ({"netwrk": {"width": 3}}, "nulls.overrides: netwrk.*did you mean network"),
    ],
)
def test_what_a_null_run_may_not_change_is_told(overrides, told):
    base = configuration.load().nulls.overrides
    given = {"nulls": {"overrides": overrides}}
    assert base
    with pytest.raises(InputError, match=told):
        configuration.null_of(configuration.load(overrides=given), "untrained")
