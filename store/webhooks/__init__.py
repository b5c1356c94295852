"""Webhooks: a tenant's endpoints, what each was sent, and which addresses may be sent to."""
