"""What holds for all suites."""

from hypothesis import HealthCheck, settings

# How long an example takes says something of the machine and of what else runs on it, and nothing of the code.
settings.register_profile("limosa", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("limosa")
