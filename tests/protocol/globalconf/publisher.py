"""A central server in memory: change a field, and what it publishes changes, newly signed.

    publisher = Publisher()
    outcome = drive(download(publisher.trusted(), publisher.locations), publisher.get)

It signs at the moment of each request, so a test turns its clock by setting `now`. What a hostile
or broken source would do is a field as well: `spoil_contents` and `spoil_signed`
before it is signed, `spoil_directory` after, `spoil_part`, `silent`. Several publishers share one `Web`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from urllib.parse import parse_qs, urlsplit

from pki_builder import EJBCA, NOON, Issued, TestCa, TestTsa
from sild.protocol.algorithms import DigestAlgorithm, SignatureAlgorithm
from sild.protocol.globalconf.anchor import Anchor, Source
from sild.protocol.globalconf.directory import (
    Boundaries,
    DirectoryContents,
    Part,
    PartKind,
    prepare_directory,
)
from sild.protocol.globalconf.fetch import Answer, Get, NoAnswer, locations_of
from sild.protocol.globalconf.private_parameters import (
    ManagementService,
    PrivateParameters,
    write_private_parameters,
)
from sild.protocol.globalconf.shared_parameters import (
    CaEntry,
    CertificationService,
    ConfigurationSource,
    GlobalGroup,
    Member,
    MemberClass,
    OcspResponderEntry,
    SecurityServer,
    SharedParameters,
    Subsystem,
    TimestampingService,
)
from sild.protocol.globalconf.shared_parameters_writer import write_shared_parameters
from sild.protocol.globalconf.trusted import Federations, Scope, TrustedConf
from sild.protocol.ids import ClientId, GlobalGroupId, SecurityServerId

FETCHINTERVAL = b'<x:conf xmlns:x="http://x-road.eu/xsd/xroad.xsd"><ocspFetchInterval>500</ocspFetchInterval></x:conf>'
NEXTUPDATE = b'<x:conf xmlns:x="http://x-road.eu/xsd/xroad.xsd"><verifyNextUpdate>false</verifyNextUpdate></x:conf>'
MONITORING = (
    b'<x:conf xmlns:x="http://x-road.eu/xsd/xroad.xsd" xmlns:id="http://x-road.eu/xsd/identifiers">'
    b'<monitoringClient><monitoringClientId id:objectType="MEMBER"><id:xRoadInstance>DEV</id:xRoadInstance>'
    b"<id:memberClass>GOV</id:memberClass><id:memberCode>M1</id:memberCode>"
    b"</monitoringClientId></monitoringClient></x:conf>"
)

_names = count(1)


def signing_key(name=None, *, kind="ec"):
    """A configuration signing key with its certificate."""
    name = name or f"Signing key {next(_names)}"
    ca = TestCa.create(name, kind=kind)
    return Issued(ca.certificate, ca.key)


def sample_shared(instance="DEV", **changes):
    """Shared parameters: two members with subsystems, two servers, a group, a CA and a TSA.

    Member GOV/M1 owns SS1 and has the subsystem S1 there; COM/M2 owns SS2 and has S2 and S3 there.
    """
    first, second = ClientId(instance, "GOV", "M1"), ClientId(instance, "COM", "M2")
    ca = TestCa.create(f"{instance} CA")
    responder = ca.issue_ocsp_signer().certificate
    shared = SharedParameters(
        instance=instance,
        sources=(),
        certification_services=(
            CertificationService(
                name="Test CA",
                profile=EJBCA,
                top=CaEntry(ca.certificate, (OcspResponderEntry("http://ocsp.test/", responder),)),
            ),
        ),
        timestamping_services=(
            TimestampingService(
                "Test TSA", "http://tsa.test/", TestTsa.create().signer.certificate
            ),
        ),
        members=(
            Member(first, "First", "Government", (Subsystem(first.subsystem("S1"), "Sub 1"),)),
            Member(
                second,
                "Second",
                "Commerce",
                (Subsystem(second.subsystem("S2")), Subsystem(second.subsystem("S3"))),
            ),
        ),
        servers=(
            SecurityServer(
                SecurityServerId(first, "SS1"), "ss1.test", (b"\1" * 32,), (first.subsystem("S1"),)
            ),
            SecurityServer(
                SecurityServerId(second, "SS2"),
                "ss2.test",
                (b"\2" * 32,),
                (second.subsystem("S2"), second.subsystem("S3"), first.subsystem("S1")),
            ),
        ),
        groups=(
            GlobalGroup(
                GlobalGroupId(instance, "security-server-owners"), "Owners", (first, second)
            ),
        ),
        member_classes=(MemberClass("GOV", "Government"), MemberClass("COM", "Commerce")),
    )
    return replace(shared, **changes)


def sample_private(instance="DEV", **changes):
    """Private parameters without federation."""
    private = PrivateParameters(
        instance=instance,
        management=ManagementService(
            address="https://cs.test:4001/managementservice/",
            certificate=signing_key("Management TLS").certificate,
            provider=ClientId(instance, "GOV", "M1", "MANAGEMENT"),
        ),
        timestamping_interval_seconds=60,
    )
    return replace(private, **changes)


@dataclass
class Publisher:
    """One instance's central server, in memory."""

    instance: str = "DEV"
    address: str = "cs.test"
    directory: str = "internalconf"
    key: Issued = field(default_factory=signing_key)
    now: object = NOON
    validity: timedelta = timedelta(seconds=600)
    versions: tuple[int, ...] = (6,)
    # Certificates announced beside that of the key in use; none at all without sources.
    announced: tuple[Issued, ...] = ()
    announces: bool = True
    parts: dict[str, bytes] = field(default_factory=dict)
    silent: tuple[str, ...] = ("https:",)
    requests: list[str] = field(default_factory=list)
    # By the name of a folder both implementations tell when its files were published.
    stamp: str = ""
    spoil_contents: Callable[[DirectoryContents], DirectoryContents] = lambda contents: contents
    spoil_signed: Callable[[bytes], bytes] = lambda signed: signed
    spoil_directory: Callable[[bytes], bytes] = lambda data: data
    spoil_part: Callable[[str, bytes], bytes] = lambda identifier, data: data
    shared: SharedParameters = None
    private: PrivateParameters | None = None

    def __post_init__(self):
        self.shared = self.shared or sample_shared(self.instance)
        if self.private is None and self.directory == "internalconf":
            self.private = sample_private(self.instance)

    @property
    def url(self):
        """The address of the directory, as an anchor has it."""
        return f"http://{self.address}/{self.directory}"

    @property
    def locations(self):
        """Where a client without any configuration looks, in order."""
        return [url for rank in locations_of(self.anchor(), None) for url in rank]

    def anchor(self, *keys):
        """The anchor of the keys, or of the key in use."""
        certificates = tuple(key.certificate.der for key in keys or (self.key,))
        return Anchor(self.instance, (Source(self.url, certificates),), NOON)

    def trusted(self, **changes):
        """A client that has the anchor and nothing else."""
        scope = Scope.OWN if self.directory == "internalconf" else Scope.FEDERATED
        return replace(TrustedConf(self.anchor(), scope, Federations()), **changes)

    def contents(self, version=6):
        """The files that are published, by content identifier."""
        files = {PartKind.SHARED_PARAMETERS.value: self._shared(version)}
        if self.private is not None:
            files[PartKind.PRIVATE_PARAMETERS.value] = write_private_parameters(self.private)
        return files | self.parts

    def _shared(self, version):
        certificates = tuple(key.certificate for key in (self.key, *self.announced))
        source = ConfigurationSource(self.address, certificates, certificates)
        shared = self.shared if self.shared.sources else replace(self.shared, sources=(source,))
        document = write_shared_parameters(shared)
        if version == 2 or not self.announces:
            # Version 2 knows no sources; what is left fits its schema and all later ones.
            document = re.sub(rb"<source>.*</source>", b"", document, flags=re.DOTALL)
            document = re.sub(rb"<subsystemName>[^<]*</subsystemName>", b"", document)
        if version < 5:
            document = re.sub(rb"<subsystemName>[^<]*</subsystemName>", b"", document)
        return document

    def signed_directory(self, version=6):
        """The directory as it is published at this moment."""
        parts = tuple(
            self.part(identifier, data, version)
            for identifier, data in self.contents(version).items()
        )
        contents = DirectoryContents(version, self.now + self.validity, parts)
        key = self.key
        algorithm = SignatureAlgorithm.for_key(key.certificate.public_key)
        boundaries = Boundaries("E" * 20, "C" * 20)
        unsigned = prepare_directory(
            self.spoil_contents(contents), key.certificate, algorithm, boundaries
        )
        unsigned = replace(unsigned, to_sign=self.spoil_signed(unsigned.to_sign))
        return self.spoil_directory(unsigned.finish(key.sign(unsigned.to_sign)))

    def part(self, identifier, data, version=6):
        """What the directory says of a file."""
        kind = next((kind for kind in PartKind if kind.value == identifier), None)
        name = kind.file_name if kind else f"{identifier.lower()}.xml"
        digest = DigestAlgorithm.SHA512.digest(data)
        location = f"/V{version}/{self.stamp or self.directory}/{name}"
        return Part(identifier, self.instance, location, DigestAlgorithm.SHA512, digest)

    def get(self, wanted):
        """Answer one request of a conversation."""
        assert isinstance(wanted, Get)
        self.requests.append(wanted.url)
        parts = urlsplit(wanted.url)
        if parts.netloc != self.address or wanted.url.startswith(self.silent):
            return NoAnswer("nobody listens there")
        answer = self._answer(parts.path, parse_qs(parts.query))
        if answer is not None and len(answer) > wanted.limit:
            return NoAnswer(f"more than {wanted.limit} bytes")
        return Answer(200, answer, self.now) if answer is not None else Answer(404, b"", self.now)

    def _answer(self, path, query):
        if path == f"/{self.directory}":
            version = int(query.get("version", ["2"])[0])
            return self.signed_directory(version) if version in self.versions else None
        return self.file_at(path)

    def file_at(self, path):
        """The file that is published at a path, if there is one."""
        for version in self.versions:
            for identifier, data in self.contents(version).items():
                if path == self.part(identifier, data, version).location:
                    return self.spoil_part(identifier, data)
        return None


@dataclass
class Web:
    """Several publishers, each at its address."""

    publishers: tuple[Publisher, ...]

    def get(self, wanted):
        """Answer one request of a conversation."""
        host = urlsplit(wanted.url).netloc
        for publisher in self.publishers:
            if publisher.address == host and urlsplit(wanted.url).path.startswith(
                (f"/{publisher.directory}", "/V")
            ):
                return publisher.get(wanted)
        return NoAnswer("nobody listens there")


def drive(conversation, get):
    """Hold a conversation with somebody who answers `get`, and give its outcome."""
    answer = None
    while True:
        try:
            wanted = conversation.send(answer)
        except StopIteration as done:
            return done.value
        answer = get(wanted)
