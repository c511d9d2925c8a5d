"""Property tests run the same everywhere: derandomised and bounded; a failure prints how to repeat it."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "jisr",
    derandomize=True,
    deadline=None,
    print_blob=True,
    max_examples=200,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("jisr")
