"""UG-SIGDOC: ASiC-E containers."""
