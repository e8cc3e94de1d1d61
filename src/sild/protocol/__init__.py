"""The X-Road specifications as code: bytes and values in, values and bytes out."""
