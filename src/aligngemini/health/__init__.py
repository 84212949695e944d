"""Is this installation sound? What `aligngemini selftest` and `aligngemini doctor` look at."""
