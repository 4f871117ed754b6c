"""How this host becomes one of Limosa's, and stops being one: `join`, `leave`, `renew-certificate`."""
