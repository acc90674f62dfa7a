"""What users could pick instead, measured beside ours on one real API server."""
