"""What `sild bench` measures with: contestants, a load generator, a backend, and figures."""
