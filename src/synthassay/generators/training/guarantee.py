"""What a private training promises, by the accountants of Opacus."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from synthassay.errors import UserError
from synthassay.generators.training.private_specs import DpSpec

DELTA_SHARE = 0.1  # of 1 / patients, where no delta is given


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """(``epsilon``, ``delta``)-differential privacy of the weights after each step, for one patient more or fewer.

    It follows from Gaussian noise of ``noise`` times the sensitivity ``clip`` at each of ``steps`` steps, which draw a
    patient with probability ``sample_rate``. The number of patients counts as known to everybody.
    """

    epsilon: float
    delta: float
    noise: float
    clip: float
    sample_rate: float
    steps: int
    patients: int
    accountant: str
    secure: bool
    unit: str = "patient"
    neighbours: str = "one patient added or removed"

    @property
    def expected(self) -> float:
        """Patients in a step, on average; what the sum of gradients is divided by, whoever was drawn."""
        return self.sample_rate * self.patients


def guarantee(name: str, spec: DpSpec, steps: int, patients: int) -> Guarantee:
    """The guarantee of ``steps`` steps on ``patients`` patients; raises :class:`UserError` for a budget out of reach.

    ``name`` is that of the generator, for messages.
    """
    delta = DELTA_SHARE / patients if spec.delta is None else spec.delta
    if delta * patients >= 1:
        raise UserError(f"{name}: private.delta={delta:g} for {patients} patients allows one to be published whole.\n"
                        f"Set it below {1 / patients:.2g}, or to null for {DELTA_SHARE / patients:.2g}.")  # fmt: skip
    rate = min(1.0, spec.patients / patients)
    noise = spec.noise or least_noise(name, spec, delta, rate, steps)
    return Guarantee(
        epsilon=spent(spec.accountant, delta, noise, rate, steps),
        delta=delta,
        noise=noise,
        clip=spec.clip,
        sample_rate=rate,
        steps=steps,
        patients=patients,
        accountant=spec.accountant,
        secure=spec.secure,
    )


def least_noise(name: str, spec: DpSpec, delta: float, rate: float, steps: int) -> float:
    """The multiplier that keeps to ``spec.epsilon``, to 0.01 below it."""
    _need_opacus()
    from opacus.accountants.utils import get_noise_multiplier

    try:
        with _without_advice_on_orders(spec.accountant):
            return float(get_noise_multiplier(target_epsilon=spec.epsilon, target_delta=delta, sample_rate=rate,
                                              steps=steps, accountant=spec.accountant))  # fmt: skip
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{name}: no noise was found that keeps {steps:,} steps to private.epsilon={spec.epsilon:g} "
                        f"({error}).\nRaise private.epsilon, take fewer training.steps or private.patients, or try "
                        "private.accountant=rdp.") from error  # fmt: skip


def spent(accountant: str, delta: float, noise: float, rate: float, steps: int) -> float:
    """ε at ``delta`` after ``steps`` steps, an upper bound."""
    _need_opacus()
    from opacus.accountants import create_accountant

    counting = create_accountant(accountant)
    counting.history = [(noise, rate, steps)]
    with _without_advice_on_orders(accountant):
        return float(counting.get_epsilon(delta=delta))


@contextmanager
def _without_advice_on_orders(accountant: str) -> Iterator[None]:
    """Without a warning about Rényi orders that is for rdp: prv takes them for the range of its grid alone."""
    with warnings.catch_warnings():
        if accountant == "prv":
            warnings.filterwarnings("ignore", "Optimal order is the largest alpha")
        yield


def _need_opacus() -> None:
    try:
        import opacus  # noqa: F401
    except ImportError as error:
        raise UserError("private=dp needs Opacus, which is not installed.\n"
                        "Install it: pip install 'synthassay[private]'") from error  # fmt: skip
