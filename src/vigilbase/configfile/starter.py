"""The file that `vigilbase up` creates if there is none."""

STARTER = """\
# The services that Vigilbase monitors. To change them, edit this file and restart `vigilbase up`.
# See docs/reference/vigilbase-yaml.md for all fields.
# To complete and check this file in an editor, run `vigilbase schema > vigilbase.schema.json`, and add the comment
# "yaml-language-server: $schema=vigilbase.schema.json" as the first line.

defaults: {interval: 30s, timeout: 5s, failure_threshold: 3, success_threshold: 2}
retention_days: 30 # how long to keep checks and resolved alerts

channels: # where notifications go; see docs/reference/channels.md for all kinds
  # team: {email: {to: [team@example.com], from: vigilbase@example.com, smtp: "smtp://localhost:25"}}
  # ops: {webhook: {url: "${OPS_URL}", secret: "${OPS_SECRET}"}}
  # boss: {pagerduty: {routing_key: "${PAGERDUTY_KEY}"}}

# routes: # which alerts go to which channels; without routes, every alert goes to every channel
#   - {channels: [ops, team], on: [down, degraded, recovery]}
#   - {channels: [boss], on: [down], after: 15m, unless: acknowledged}
# remind_every: 4h # while an alert is open and not acknowledged

services:
  - name: vigilbase database
    postgres: self # Vigilbase's own database

  # - name: website
  #   http: https://example.com/
  #   expect: {status: 200-299, body_contains: Example, certificate_days: 14}
  #   degraded_after: 800ms
  #   interval: 10s
  #   tags: [shop, public]
  #   routes: [{channels: [ops], on: [down]}] # replaces the routes above for this service; [] sends nothing

  # - name: orders database
  #   postgres: ${DATABASE_URL} # from the environment; write $$ for a dollar sign

  # - name: cache
  #   redis: redis://${CACHE_HOST:-localhost}:6379

  # - name: mail
  #   tcp: mail.example.com:25
  #   failure_threshold: 5

  # - name: mail certificate
  #   tls: mail.example.com:465
  #   expect: {certificate_days: 21}
  #   interval: 1h

  # - name: domain
  #   dns: example.com
  #   expect: {answers: [192.0.2.1]}

  # - name: queue depth
  #   python: myapp.health:queue_depth # your own function; if it raises an exception, the check is down
"""
