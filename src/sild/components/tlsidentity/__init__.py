"""The TLS key and certificates that a server shows: made, asked for, taken and handed out."""
