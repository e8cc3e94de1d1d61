"""The signer's settings, named as the reference names its `[signer]` parameters."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignerSettings:
    """Times are in seconds."""

    enforce_token_pin_policy: bool = True
    """Whether a new PIN needs 10 characters of 3 kinds; the reference does not insist."""
    pin_rounds: int = 100_000
    """Rounds of PBKDF2 between the PIN and the key that encrypts a key file."""
    pin_free_attempts: int = 3
    """Wrong PINs in a row before attempts are slowed down."""
    pin_first_delay: float = 5.0
    """How long no PIN is tried after that; doubled with each further wrong one."""
    pin_longest_delay: float = 900.0
    signing_threads: int = 4


@dataclass(frozen=True, slots=True)
class OcspSettings:
    """Times are in seconds; the global configuration says how often responses are fetched."""

    ocsp_retry_delay: float = 60.0
    """How long after a failure it is tried again."""
    ocsp_refresh_margin: float = 300.0
    """How long before a response goes stale it is fetched anew."""
    ocsp_parallel: int = 8
    """How many certificates are asked about at a time."""
