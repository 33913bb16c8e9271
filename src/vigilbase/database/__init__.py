"""The service client, its transports, the embedded Postgres and the migrations runner."""
