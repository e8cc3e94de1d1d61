"""The ASN.1 of evidence records (RFC 4998, appendix A; its module has implicit tags)."""

from asn1crypto import algos, cms, core


class PartialHashtree(core.SequenceOf):
    """The digests that are joined at one step."""

    _child_spec = core.OctetString


class ReducedHashtree(core.SequenceOf):
    """The steps from a leaf to the digest that is time-stamped."""

    _child_spec = PartialHashtree


class ArchiveTimeStamp(core.Sequence):
    """One time-stamp over data, or over an older time-stamp."""

    _fields = [  # noqa: RUF012 - how the library declares
        ("digest_algorithm", algos.DigestAlgorithm, {"implicit": 0, "optional": True}),
        ("attributes", cms.CMSAttributes, {"implicit": 1, "optional": True}),
        ("reduced_hashtree", ReducedHashtree, {"implicit": 2, "optional": True}),
        ("time_stamp", cms.ContentInfo),
    ]


class ArchiveTimeStampChain(core.SequenceOf):
    """Time-stamps by one digest algorithm, each over the one before."""

    _child_spec = ArchiveTimeStamp


class ArchiveTimeStampSequence(core.SequenceOf):
    """Chains, each by another digest algorithm over all before it."""

    _child_spec = ArchiveTimeStampChain


class DigestAlgorithms(core.SequenceOf):
    """The digest algorithms of all chains."""

    _child_spec = algos.DigestAlgorithm


class CryptoInfos(core.SequenceOf):
    """What proves that the algorithms were strong; it is not read."""

    _child_spec = cms.CMSAttribute


class EncryptionInfo(core.Sequence):
    """How the data was encrypted."""

    _fields = [  # noqa: RUF012 - how the library declares
        ("type", core.ObjectIdentifier),
        ("value", core.Any),
    ]


class EvidenceRecord(core.Sequence):
    """A whole record."""

    _fields = [  # noqa: RUF012 - how the library declares
        ("version", core.Integer),
        ("digest_algorithms", DigestAlgorithms),
        ("crypto_infos", CryptoInfos, {"implicit": 0, "optional": True}),
        ("encryption_info", EncryptionInfo, {"implicit": 1, "optional": True}),
        ("sequence", ArchiveTimeStampSequence),
    ]
