"""What the evidence is refused for.

EvidenceError                        internal_error
├── MalformedEvidence                a proof, manifest or record that cannot be read
├── ProofRefused                     a proof that does not lead to its head
├── EvidenceChanged                  what was protected is not there, or is not what it was
└── RenewedTooLate                   a renewal came when what it renews proved nothing any more
"""

from sild.protocol.errors import ProtocolError


class EvidenceError(ProtocolError):
    """Evidence that proves nothing."""


class MalformedEvidence(EvidenceError):
    """A proof, an archive manifest or an evidence record that cannot be read."""


class ProofRefused(EvidenceError):
    """A proof that does not lead from what it is of to the head of the log."""


class EvidenceChanged(EvidenceError):
    """What a renewal protects is not there, or is not what it was."""


class RenewedTooLate(EvidenceError):
    """A renewal from after the time when what it renews could still be relied on."""
