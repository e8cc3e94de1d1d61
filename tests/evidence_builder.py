"""Containers, archives and the configuration to verify them by, for tests.

evidence = Evidence.create()
data = evidence.container({MESSAGE: REQUEST, ATTACHMENT: b"the body"})
judge_container(data, evidence.trusts)
evidence.write_conf(folder)                   the same trust, as a server keeps it
rezipped(entries_in(data) | {"more": b""})    with other entries
"""

import io
import zipfile
from dataclasses import dataclass, replace
from datetime import timedelta

from pki_builder import EJBCA, NOON, TestTsa
from signing_builder import MESSAGE, TestSigner, leaf_of
from sild.protocol.asic.archive import ArchiveWriter
from sild.protocol.asic.container import (
    ARCHIVE_COMMENT,
    Container,
    with_signature_timestamp,
    write_container,
)
from sild.protocol.globalconf.shared_parameters import (
    CaEntry,
    CertificationService,
    ConfigurationSource,
    SharedParameters,
    TimestampingService,
)
from sild.protocol.globalconf.shared_parameters_writer import write_shared_parameters
from sild.protocol.signature.hashchain import HashTree
from sild.protocol.signature.names import SIGNATURES, TS_HASH_CHAIN
from sild.protocol.signature.verify import read_signature

REQUEST = (
    b"GET\r\n/r1/DEV/GOV/M2/S2/service\r\n"
    b"X-Road-Client:DEV/GOV/M1/S1\r\nx-road-request-id:1\r\nx-road-id:DEV-1\r\n"
)
STAMPED_AT = NOON + timedelta(minutes=5)


def stamped(signed, parts, *, tsa, at=STAMPED_AT, **stamp):
    """A container with a time-stamp of its own, inside its signature."""
    value = read_signature(signed.signature).value
    return Container(
        message=parts[MESSAGE],
        signature=with_signature_timestamp(signed.signature, tsa.token(value, at=at, **stamp)),
        hash_chain_result=signed.hash_chain_result,
        hash_chain=signed.hash_chain,
        attachments={name: data for name, data in parts.items() if name != MESSAGE},
    )


def stamped_together(signed, parts, *, tsa, at=STAMPED_AT, **stamp):
    """A container whose time-stamp is for another message as well."""
    leaves = [leaf_of({SIGNATURES: signed.signature}), leaf_of({SIGNATURES: b"another"})]
    tree = HashTree(leaves, TS_HASH_CHAIN)
    result = tree.result_document()
    return Container(
        message=parts[MESSAGE],
        signature=signed.signature,
        hash_chain_result=signed.hash_chain_result,
        hash_chain=signed.hash_chain,
        timestamp=tsa.token(result, at=at, **stamp),
        timestamp_hash_chain_result=result,
        timestamp_hash_chain=tree.chain_document(0),
        attachments={name: data for name, data in parts.items() if name != MESSAGE},
    )


@dataclass(frozen=True)
class Evidence:
    """A signer and a time-stamping authority, and who trusts them."""

    signer: TestSigner
    tsa: TestTsa
    others: tuple[TestTsa, ...] = ()
    """Authorities that are trusted besides the one that stamps."""

    @classmethod
    def create(cls, kind="ec", **wish):
        """The rest are arguments of TestSigner.create."""
        return cls(TestSigner.create(kind, **wish), TestTsa.create())

    @property
    def trusts(self):
        """Who trusts them, by instance."""
        tsas = tuple(tsa.approved() for tsa in (self.tsa, *self.others))
        return {"DEV": replace(self.signer.trust, tsas=tsas)}

    def container(self, parts, *, stamp=stamped, **wish):
        """A container's bytes; the rest are fields of Stamp."""
        (signed,) = self.signer.sign(parts)
        return write_container(stamp(signed, parts, tsa=self.tsa, **wish), NOON)

    def write_conf(self, folder):
        """The configuration that gives the same trust, as a server keeps it."""
        trust = self.trusts["DEV"]
        services = tuple(
            CertificationService(
                name=ca.name,
                profile=EJBCA,
                top=CaEntry(ca.top.certificate, ()),
                intermediates=tuple(CaEntry(cert.certificate, ()) for cert in ca.intermediates),
            )
            for ca in trust.cas
        )
        tsas = tuple(TimestampingService(t.name, t.url, t.certificate) for t in trust.tsas)
        certificate = self.tsa.signer.certificate
        document = write_shared_parameters(
            SharedParameters(
                "DEV",
                (ConfigurationSource("cs.test", (certificate,)),),
                certification_services=services,
                timestamping_services=tsas,
            )
        )
        (folder / "DEV").mkdir(parents=True)
        (folder / "instance-identifier").write_text("DEV")
        (folder / "DEV/shared-params.xml").write_bytes(document)
        metadata = folder / "DEV/shared-params.xml.metadata"
        metadata.write_text('{"configurationVersion":"6"}')
        return folder


def entries_in(data):
    """The contents of a zip file's entries by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rezipped(entries, comment=ARCHIVE_COMMENT):
    """A zip file of these entries, in the form of containers."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = comment
        for name, data in entries.items():
            header = zipfile.ZipInfo(name, (2026, 1, 15, 12, 0, 0))
            header.compress_type, header.create_system = zipfile.ZIP_DEFLATED, 0
            archive.writestr(header, data, compresslevel=1)
            header.external_attr = 0
    return out.getvalue()


def linked(previous, containers, **options):
    """An archive of these containers by name, and what the next one goes on from."""
    writer = ArchiveWriter(previous, **options)
    data = b"".join(writer.add(name, content, NOON) for name, content in containers.items())
    return data + writer.finish(), writer.head(f"mlog-{writer.last_digest[:16]}.zip")
