"""Pretend FlashArrays and FlashBlades over HTTPS, for the demo, the tests, and anyone who wants to try a client.

`simulator.fleet.Simulator` is the way in from Python, `python -m simulator --help` from a shell. Speaks FlashArray
REST 1.0-1.19 and FlashBlade REST 1.0-1.12. Shares no code with `arrays/`, or one mistake would agree with itself.
"""
