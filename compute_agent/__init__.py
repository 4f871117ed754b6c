"""The compute agent: executes what conductors command on one host, and reports what it sees there."""
