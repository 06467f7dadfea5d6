"""Users, roles and their scope, API tokens, the audit log."""
