"""HTTP: routes call services; they know neither SQLAlchemy nor the store."""
