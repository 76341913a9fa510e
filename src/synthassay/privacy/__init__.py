"""Privacy: does a synthetic set copy the patients that its generator was trained on, judged beside honest controls."""
