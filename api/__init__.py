"""What the world talks to over HTTP: one router a resource, one place for errors, one transaction a request.

Endpoints are plain functions in worker threads; only the live stream is asynchronous. Every request works inside one
tenant, which comes from its credentials and never from what it asks for.
"""

ROOT = "/api/v1"
"""Where every resource of this version is."""
