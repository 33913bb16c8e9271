"""From the outbox to the channels: claim, send, record the result."""
