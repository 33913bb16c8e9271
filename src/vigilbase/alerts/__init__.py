"""How observations become alert events."""
