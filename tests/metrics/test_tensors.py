"""Tensors, float16 and CUDA give what double arrays give."""

import numpy as np
import pytest
import torch

from synthassay.metrics.c_t import c_t
from synthassay.metrics.clipped import clipped_density_coverage
from synthassay.metrics.cmmd import cmmd
from synthassay.metrics.frechet_infinity import frechet_infinity
from synthassay.metrics.kid_subsets import kid_subsets
from synthassay.metrics.mifid import mifid
from synthassay.metrics.tail_copies import tail_copies
from synthassay.metrics.vendi import vendi

UNITS = np.repeat(np.arange(40), 3)
METRICS = {
    "c_t": lambda a, b: c_t(a, a + 0.25, b, test_units=UNITS),
    "clipped_density": lambda a, b: clipped_density_coverage(a, b, real_units=UNITS, replicates=20).density,
    "clipped_coverage": lambda a, b: clipped_density_coverage(a, b, real_units=UNITS, replicates=20).coverage,
    "cmmd": lambda a, b: cmmd(a, b, real_units=UNITS),
    "frechet_infinity": lambda a, b: frechet_infinity(a, b, synthetic_units=UNITS),
    "kid_subsets": lambda a, b: kid_subsets(a, b, synthetic_units=UNITS, size=30, subsets=10),
    "mifid": lambda a, b: mifid(a, b, train_units=UNITS),
    "tail_copies": lambda a, b: tail_copies(a, b, train_units=UNITS),
    "vendi": lambda a, _: vendi(a, units=UNITS),
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_the_same_value_and_interval(metric, device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA GPU")
    random = np.random.default_rng(0)
    # Multiples of 1/64, which every precision holds.
    a, b = (np.round(64 * random.standard_normal((120, 8))) / 64 for _ in range(2))
    expected = METRICS[metric](a, b)
    for dtype in (torch.float16, torch.float32, torch.float64):
        found = METRICS[metric](*(torch.from_numpy(side).to(device, dtype) for side in (a, b)))
        assert found.value == pytest.approx(expected.value, rel=1e-9)
        assert found.interval().low == pytest.approx(expected.interval().low, rel=1e-7, abs=1e-9)
        assert found.interval().high == pytest.approx(expected.interval().high, rel=1e-7, abs=1e-9)
