"""People, their roles and sessions, and API keys; both servers use it."""
