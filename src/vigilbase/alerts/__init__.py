"""The rules of alerting, all pure: judge, routes, suppression, and the text of alerts and notifications."""
