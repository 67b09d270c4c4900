"""Whether something is wrong: windows, measurements, policies, verdicts."""
