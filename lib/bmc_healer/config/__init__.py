"""Configuration, inventory and secrets."""
