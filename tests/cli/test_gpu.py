"""The same commands on a CUDA GPU."""

from pathlib import Path

import pandas as pd
import pytest

from tests.whole_runs import synthassay


@pytest.mark.gpu
def test_the_whole_line_runs_on_the_gpu(tmp_path: Path) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU")
    done = synthassay(tmp_path, "run", "resources.device=cuda")
    assert done.returncode == 0, done.stderr
    table = pd.read_parquet(tmp_path / "out" / "results.parquet")
    assert {"edm", "gan", "vae"} <= set(table.generator)
