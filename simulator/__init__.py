"""Pretend arrays over real HTTPS, and what the demo needs beside them. Shares no code with arrays/."""
