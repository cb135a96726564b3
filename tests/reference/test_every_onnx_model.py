"""Every reference model that can be imported: outputs, gradients and maps."""

from pathlib import Path

import pytest
from onnx_models import IMPORTED, QUICK, check

pytestmark = pytest.mark.realdata


@pytest.mark.parametrize("name", [name for name in IMPORTED if name not in QUICK])
def test_outputs_and_maps_are_the_frameworks_own(
    name: str, reference: Path, tmp_path: Path
) -> None:
    check(name, reference / "onnx", tmp_path)
