"""The one client of the management APIs."""
