"""Two encoders: one order, an order that is not settled, and opposite orders."""

from synthassay.records import MetricResult
from synthassay.reports.data import ReportData
from synthassay.reports.select import Results
from synthassay.reports.sentences.encoders import encoder_findings


def kid(generator: str, encoder: str, value: float, half: float) -> MetricResult:
    return MetricResult(
        family="fidelity", metric="kid", generator=generator, encoder=encoder, variant="patient-aware",
        reference="test", value=value, ci_low=value - half, ci_high=value + half, n_real=300, n_synthetic=300,
        n_patients=100, higher_is_better=False,
    )  # fmt: skip


def found(made_up: ReportData, second: dict[str, float], half: float = 0.01) -> list[tuple[str, str]]:
    first = {"edm": 0.1, "gan": 0.2, "vae": 0.3}
    rows = [kid(name, "a", value, half) for name, value in first.items()]
    rows += [kid(name, "b", value, half) for name, value in second.items()]
    return [(item.tag, item.text) for item in encoder_findings(Results(rows, made_up))]


def test_one_order_is_said_to_be_shared(made_up: ReportData) -> None:
    [(tag, text)] = found(made_up, {"edm": 0.01, "gan": 0.05, "vae": 0.5})
    assert tag == "Encoders agree"
    assert "under a and b: edm, gan, vae" in text


def test_opposite_orders_are_named_pair_by_pair(made_up: ReportData) -> None:
    [(tag, text)] = found(made_up, {"edm": 0.3, "gan": 0.2, "vae": 0.4})
    assert tag == "Encoders disagree"
    assert "edm is nearer to test patients under a, gan under b" in text


def test_an_order_that_intervals_do_not_support_is_not_settled(made_up: ReportData) -> None:
    second = {"edm": 0.3, "gan": 0.2, "vae": 0.4}
    [(tag, text)] = found(made_up, second, 0.2)
    assert tag == "Order not settled"
    assert "a: edm, gan, vae; b: gan, edm, vae" in text


def test_one_encoder_has_nothing_to_say(made_up: ReportData) -> None:
    assert found(made_up, {}) == []
    rows = [kid("edm", "a", 0.1, 0.01), kid("edm", "b", 0.1, 0.01)]
    assert list(encoder_findings(Results(rows, made_up))) == []
