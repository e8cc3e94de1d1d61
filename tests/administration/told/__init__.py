"""What servers tell of what is done to them: all of it in the audit log, and nothing secret."""
