"""The durable engine, and all that runs on it. Nothing outside of this package knows which engine it is."""
