"""The device that a command's --device names."""

from synthassay.errors import UserError

DEVICES = ("auto", "cpu", "cuda")


def device_of(choice: str) -> str:
    """``"cuda"`` or ``"cpu"``: for ``"auto"`` a GPU where torch finds one; asking for an absent GPU is an error."""
    if choice not in DEVICES:
        raise UserError(f"--device {choice} is unknown; it is one of: {', '.join(DEVICES)}")
    import torch

    found = torch.cuda.is_available()
    if choice == "cuda" and not found:
        raise UserError("--device cuda: torch finds no CUDA GPU here; use --device auto or cpu")
    return "cuda" if found and choice != "cpu" else "cpu"
