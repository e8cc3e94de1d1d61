"""What renewals of containers and of archives have in common: a chain of time-stamps.

A time-stamp is relied on until its authority's certificate ends or an algorithm in it is broken.
A newer one over it, from before that moment, says that it was there when it still proved something.
So each is judged by what was strong when the next one was made, and the last by what is strong now.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from sild.protocol.algorithms import DigestAlgorithm, UnsupportedAlgorithm
from sild.protocol.evidence.errors import RenewedTooLate
from sild.protocol.pki.signed import Strength
from sild.protocol.pki.timestamp import TimestampToken, VerifiedTimestamp, verify_stamped_digest
from sild.protocol.pki.trust import ApprovedTsa

RENEWAL_DIGESTS = (DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512)
"""What renewals digest with."""

# SHA-1 and short RSA keys were given up for signatures at the end of 2013 (NIST SP 800-131A).
_HISTORIC_UNTIL = datetime(2014, 1, 1, tzinfo=UTC)

StrengthAt = Callable[[datetime], Strength]


def usual_strength(moment: datetime) -> Strength:
    """What a signature had to be made with to be relied on at a moment."""
    return Strength.HISTORIC if moment < _HISTORIC_UNTIL else Strength.CURRENT


@dataclass(frozen=True, slots=True)
class RenewalTrust:
    """Whose time-stamps count, and at what moment all of it is judged."""

    tsas: Sequence[ApprovedTsa]
    now: datetime
    strength_at: StrengthAt = usual_strength


@dataclass(frozen=True, slots=True)
class Renewal:
    """One time-stamp of a chain, and the entry or place where it stands."""

    name: str
    stamp: VerifiedTimestamp

    @property
    def stamped_at(self) -> datetime:
        """Since when what it covers is there, unchanged."""
        return self.stamp.gen_time

    @property
    def protected_until(self) -> datetime:
        """When its authority's certificate ends: it must be renewed before."""
        return self.stamp.tsa.certificate.not_after


@dataclass(frozen=True, slots=True)
class Link:
    """A time-stamp to be verified: its place, its token, and the digest that it must be of."""

    name: str
    token: TimestampToken
    digest: bytes


def verify_links(links: Sequence[Link], trust: RenewalTrust) -> tuple[Renewal, ...]:
    """Prove a chain of time-stamps, the oldest first, each from while the one before still counted.

    Raises RenewedTooLate, and what `verify_timestamp` raises.
    """
    if not links:
        return ()
    renewals = []
    judged_at = [link.token.gen_time for link in links[1:]] + [trust.now]
    for link, moment in zip(links, judged_at, strict=True):
        strength = trust.strength_at(moment)
        stamp = verify_stamped_digest(link.token, link.digest, trust.tsas, strength)
        renewals.append(Renewal(link.name, stamp))
    for older, newer in pairwise(renewals):
        check_in_time(older.stamp, newer.stamped_at, newer.name)
    return tuple(renewals)


def check_in_time(older: VerifiedTimestamp, renewed_at: datetime, name: str) -> None:
    """Raise RenewedTooLate unless a time-stamp was renewed while it could be relied on."""
    if renewed_at < older.gen_time:
        message = f"{name} is of {renewed_at}, and what it renews is of {older.gen_time}"
        raise RenewedTooLate(message)
    if not older.tsa.certificate.is_valid_at(renewed_at):
        message = (
            f"{name} is of {renewed_at}, when the certificate of {older.tsa.name}, "
            "which it renews a time-stamp of, had ended"
        )
        raise RenewedTooLate(message)


def hash_of(token: TimestampToken) -> DigestAlgorithm:
    """The algorithm of what a token stamps; raises UnsupportedAlgorithm."""
    found = DigestAlgorithm.__members__.get(token.imprint_hash.upper())
    if found is None:
        raise UnsupportedAlgorithm(f"digest algorithm {token.imprint_hash!r} is not supported")
    return found
