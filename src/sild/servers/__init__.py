"""The only place that wires things together: ports to adapters, one module a process."""
