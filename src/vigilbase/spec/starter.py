"""The file that `vigilbase up` writes when there is none."""

STARTER = """\
# What Vigilbase watches. Save this file and start `vigilbase up` again to change it.
# All that can be said here: docs/reference/vigilbase-yaml.md
# Editors complete and check this file by a schema: run `vigilbase schema > vigilbase.schema.json`, and begin
# the file with a comment that says yaml-language-server: $schema=vigilbase.schema.json

defaults: {every: 30s, timeout: 5s, failures: 3, successes: 2}
retention_days: 30 # how long checks and resolved alerts are kept

channels: # where messages go; what else there is: docs/reference/channels.md
  # team: {email: {to: [team@example.com], from: vigilbase@example.com, smtp: "smtp://localhost:25"}}
  # ops: {webhook: {url: "${OPS_URL}", secret: "${OPS_SECRET}"}}
  # boss: {pagerduty: {routing_key: "${PAGERDUTY_KEY}"}}

# alerts: # which go where; without this, all go to every channel
#   - {channels: [ops, team], on: [down, degraded, recovery]}
#   - {channels: [boss], on: [down], after: 15m, unless: acknowledged}
# remind_every: 4h # as long as an alert is open and nobody has acknowledged it

services:
  - name: vigilbase database
    postgres: self # Vigilbase's own database

  # - name: website
  #   http: https://example.com/
  #   expect: {status: 200-299, body_contains: Example, certificate_days: 14}
  #   degraded_after: 800ms
  #   every: 10s
  #   tags: [shop, public]
  #   alerts: [{channels: [ops], on: [down]}] # for this service, in place of those above; [] for none

  # - name: orders database
  #   postgres: ${DATABASE_URL} # from the environment; $$ is a dollar sign

  # - name: cache
  #   redis: redis://${CACHE_HOST:-localhost}:6379

  # - name: mail
  #   tcp: mail.example.com:25
  #   failures: 5

  # - name: certificate of the mail server
  #   tls: mail.example.com:465
  #   expect: {certificate_days: 21}
  #   every: 1h

  # - name: domain
  #   dns: example.com
  #   expect: {answers: [192.0.2.1]}

  # - name: queue depth
  #   python: myapp.health:queue_depth # a function of yours; raising an exception is down
"""
