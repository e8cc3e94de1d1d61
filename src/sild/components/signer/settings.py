"""The signer's settings, named as the reference names its `[signer]` parameters."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from sild.model.costs import Strategy
from sild.model.tokens import KeyAlgorithm, KeyUsage
from sild.runtime.settings import Between


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
    signing_key_algorithm: KeyAlgorithm = KeyAlgorithm.RSA_2048
    """What a signing key is where nothing else is said."""
    authentication_key_algorithm: KeyAlgorithm = KeyAlgorithm.RSA_2048
    """What an authentication key is where nothing else is said."""
    allow_csr_for_key_with_certificate: bool = False
    """Whether a certificate may be requested for a key that has one."""
    automatic_activate_auth_certificate: bool = False
    """Whether an authentication certificate is used as soon as it is registered."""
    devices_file: Path | None = None
    """Where the PKCS #11 devices are listed, `devices.toml` in the server's home if not set."""
    module_scan_interval: Annotated[float, Between(1)] = 60.0
    """How often it is looked which hardware tokens there are."""
    module_retry_interval: Annotated[float, Between(0.1)] = 10.0
    """How often while one that was there is not."""
    keep_pins: bool = True
    """Whether PINs outlive the end of the process that holds the keys, in memory alone."""
    autologin_file: Path | None = None
    """A private file with PINs: that of the software token alone, or a line TOKEN:PIN for each."""
    autologin_variable: str | None = None
    """The environment variable that holds the same; where there is no such file."""
    autologin_command: tuple[str, ...] = ()
    """A program and its arguments that prints the same; one that exits with 127 has no PIN."""
    autologin_retry_interval: Annotated[float, Between(0.1)] = 10.0
    """How often tokens that could not be logged in so are tried again."""
    autologin_command_timeout: Annotated[float, Between(0.1)] = 30.0
    """How long that program may take."""

    def key_algorithm_for(self, usage: KeyUsage | None) -> KeyAlgorithm:
        """What a key is made as where nothing is said; one for nothing yet is always RSA."""
        if usage is KeyUsage.AUTHENTICATION:
            return self.authentication_key_algorithm
        chosen = self.signing_key_algorithm
        if usage is None and chosen is KeyAlgorithm.EC_P256:
            return KeyAlgorithm.RSA_2048
        return chosen


@dataclass(frozen=True, slots=True)
class OcspSettings:
    """Times are in seconds; the global configuration says how often responses are fetched."""

    ocsp_retry_delay: float = 60.0
    """How long after a failure it is tried again."""
    ocsp_refresh_margin: float = 300.0
    """How long before a response goes stale it is fetched anew."""
    ocsp_parallel: int = 8
    """How many certificates are asked about at a time."""
    ocsp_prioritization_strategy: Strategy = Strategy.NONE
    """Which responders of a certification service are asked by their cost, and which first."""
