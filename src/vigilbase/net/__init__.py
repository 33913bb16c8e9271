"""Connections, TLS, traces, error texts and redaction, for both probes and channels."""
