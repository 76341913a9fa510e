"""DDPM (Ho et al. 2020, arXiv 2006.11239)."""

from torch import nn

from synthassay.generators.diffusion.family import DiffusionFamily
from synthassay.generators.diffusion.family_specs import DdpmSpec
from synthassay.generators.diffusion.objectives import Ddpm


class DdpmFamily(DiffusionFamily):
    """DDPM behind the protocol of the trained families."""

    spec: DdpmSpec

    def objective(self, network: nn.Module) -> Ddpm:
        """Prediction of the noise."""
        return Ddpm(network, self.spec.noise)
