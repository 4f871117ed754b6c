"""The administrator's client: talks to conductors only."""
