"""EDM diffusion (Karras et al. 2022, arXiv 2206.00364)."""

from torch import nn

from synthassay.generators.diffusion.family import DiffusionFamily
from synthassay.generators.diffusion.objectives import Edm
from synthassay.generators.diffusion.specs import EdmSpec


class EdmFamily(DiffusionFamily):
    """EDM behind the protocol of the trained families."""

    spec: EdmSpec

    def objective(self, network: nn.Module) -> Edm:
        """Preconditioned denoising."""
        return Edm(network, self.spec.noise, self.spec.network.time_scale)
