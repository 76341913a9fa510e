"""EDM diffusion (Karras et al. 2022, arXiv 2206.00364)."""

from torch import nn

from synthassay.generators.diffusion.family import DiffusionFamily
from synthassay.generators.diffusion.family_specs import EdmSpec
from synthassay.generators.diffusion.objectives import Edm


class EdmFamily(DiffusionFamily):
    """EDM behind the protocol of the trained families."""

    spec: EdmSpec

    def objective(self, network: nn.Module) -> Edm:
        """Preconditioned denoising."""
        return Edm(network, self.spec.noise)
