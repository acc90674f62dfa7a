"""What a pretend array knows and the rules it keeps: no HTTP, no threads. `simulator/rest` speaks for it."""
