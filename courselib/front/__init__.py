"""What stands in front of an engine: a real HAProxy, with TLS, keys, limits and checks."""
