"""Rectified flow (Liu et al. 2022, arXiv 2209.03003)."""

from torch import nn

from synthassay.generators.diffusion.family import DiffusionFamily
from synthassay.generators.diffusion.family_specs import FlowSpec
from synthassay.generators.diffusion.objectives import Flow


class FlowFamily(DiffusionFamily):
    """Rectified flow behind the protocol of the trained families."""

    spec: FlowSpec

    def objective(self, network: nn.Module) -> Flow:
        """Prediction of the velocity."""
        return Flow(network, self.spec.noise)
