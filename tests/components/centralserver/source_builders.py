"""Sources of configuration with keys in memory, and everything that is published by them."""

from dataclasses import replace
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol.globalconf.publisher import signing_key
from sild.components.centralserver.cluster import Cluster
from sild.components.centralserver.configuration_parts import KNOWN_PARTS, ConfigurationParts
from sild.components.centralserver.publish import Publisher, PublisherSettings, Surroundings
from sild.components.centralserver.publishing_files import PublicationDirectory
from sild.components.centralserver.settings import SigningKeyAlgorithm
from sild.components.centralserver.source_anchors import SourceAnchors
from sild.components.centralserver.source_rows import SourceKind
from sild.components.centralserver.sources import Sources, SourceSettings
from sild.components.centralserver.system import Node, Parameter, set_parameter
from sild.components.centralserver.trusted_anchors import TrustedAnchors
from sild.components.centralserver.xml_uploads import XmlFile
from sild.model.tokens import Key, KeyAlgorithm, Token, TokenStatus
from sild.protocol.algorithms import KeyFamily, SignatureAlgorithm
from sild.protocol.errors import ProtocolError
from sild.protocol.globalconf.anchor import Anchor, Source, write_anchor
from sild.runtime.clock import TurnedClock

INTERNAL, EXTERNAL = SourceKind
PIN = "Secret-1234"
EC_KEYS = SourceSettings(SigningKeyAlgorithm.EC, SigningKeyAlgorithm.EC)


class SignerRefuses(ProtocolError):
    """What the signer answers."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


class KeyRing:
    """Tokens in memory; `broken` names calls that fail, with what they raise."""

    def __init__(self, *token_ids, logged_in=True):
        self.held = {
            token_id: Token(token_id, f"token {token_id}", TokenStatus.OK, logged_in)
            for token_id in token_ids or ("0",)
        }
        self.private = {}
        self.broken = {}
        self.signed = 0

    def change(self, token_id, **changes):
        self.held[token_id] = replace(self.held[token_id], **changes)

    def _answer(self, call):
        if call in self.broken:
            raise self.broken[call]

    async def tokens(self):
        self._answer("tokens")
        return tuple(self.held.values())

    async def initialize(self, pin):
        raise NotImplementedError

    async def login(self, token_id, pin):
        self._answer("login")
        if pin != PIN:
            raise SignerRefuses("pin_incorrect")
        keys = frozenset(key.id for key in self.held[token_id].keys)
        self.change(token_id, logged_in=True, available_keys=keys)

    async def logout(self, token_id):
        self._answer("logout")
        self.change(token_id, logged_in=False, available_keys=frozenset())

    async def generate_key(self, token_id, label, usage, algorithm):
        self._answer("generate_key")
        if algorithm is KeyAlgorithm.EC_P256:
            private = ec.generate_private_key(ec.SECP256R1())
        else:
            private = rsa.generate_private_key(65537, 2048)
        public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        key = Key(f"KEY-{len(self.private)}", label, usage, algorithm, public, token_id=token_id)
        self.private[key.id] = private
        token = self.held[token_id]
        available = token.available_keys | {key.id}
        self.change(token_id, keys=(*token.keys, key), available_keys=available)
        return key

    async def delete_key(self, key_id):
        self._answer("delete_key")
        for token in self.held.values():
            if any(key.id == key_id for key in token.keys):
                left = tuple(key for key in token.keys if key.id != key_id)
                available = token.available_keys - {key_id}
                self.change(token.id, keys=left, available_keys=available)
                return
        raise SignerRefuses("key_not_found")

    async def sign(self, key_id, digest, algorithm):
        self._answer("sign")
        (token,) = (t for t in self.held.values() if any(key.id == key_id for key in t.keys))
        if not token.logged_in:
            raise SignerRefuses("token_not_active")
        self.signed += 1
        chosen = SignatureAlgorithm.from_uri(algorithm)
        prehashed = utils.Prehashed(chosen.digest_algorithm.primitive)
        private = self.private[key_id]
        if chosen.family is KeyFamily.RSA:
            return private.sign(digest, padding.PKCS1v15(), prehashed)
        return private.sign(digest, ec.ECDSA(prehashed))

    @property
    def key_ids(self):
        return [key.id for token in self.held.values() for key in token.keys]


class Registration:
    """A registration service with a certificate."""

    def __init__(self):
        self.certificate = signing_key("Management TLS").certificate

    async def find_certificate(self):
        return self.certificate


class Partners:
    """Other instances: all there, but for those that are `broken`."""

    def __init__(self):
        self.asked = []
        self.broken = None

    async def verify(self, anchor):
        self.asked.append(anchor)
        if self.broken is not None:
            raise self.broken


class Central:
    """The sources of one node, and the publisher of what they sign."""

    def __init__(self, database, folder, *, node=None, settings=EC_KEYS, keys=None, clock=None):
        self.database = database
        self.clock = clock or TurnedClock()
        self.node = node or Node()
        self.keys = keys or KeyRing()
        self.partners = Partners()
        self.registration = Registration()
        self.files = PublicationDirectory(folder)
        self.sources = Sources(
            SourceAnchors(database, self.node, self.clock), self.keys, settings, self.clock
        )
        self.parts = ConfigurationParts(database, self.node, KNOWN_PARTS, self.files, self.clock)
        self.anchors = TrustedAnchors(database, self.node, self.partners)
        self.cluster = Cluster(database, self.node, timedelta(seconds=60), self.clock)
        self.publisher = self.publisher_of()

    def publisher_of(self, lowest=2):
        surroundings = Surroundings(self.keys, self.registration, self.anchors, self.cluster)
        return Publisher(self.parts, surroundings, PublisherSettings(lowest))

    async def initialize(self, instance="DEV", address="cs.test", *, provider=True):
        values = {Parameter.INSTANCE: instance, Parameter.ADDRESS: address}
        if provider:
            values |= {
                Parameter.PROVIDER_CLASS: "GOV",
                Parameter.PROVIDER_CODE: "M1",
                Parameter.PROVIDER_SUBSYSTEM: "MANAGEMENT",
            }
        await self.set(**{parameter.name: value for parameter, value in values.items()})
        return self

    async def set(self, **values):
        async with self.database.transaction() as connection:
            for name, value in values.items():
                await set_parameter(connection, self.node, Parameter[name], value)

    async def add_keys(self):
        """A key for each source, which signs."""
        internal = await self.sources.add_key(INTERNAL, "0", "internal")
        external = await self.sources.add_key(EXTERNAL, "0", "external")
        return internal.signing_key, external.signing_key

    async def anchor(self, kind=INTERNAL):
        return (await self.sources.anchors.find(kind)).anchor


def partner_anchor(instance="EE", **changes):
    """Another instance's anchor, as a file."""
    certificate = signing_key().certificate.der
    source = Source(f"http://{instance.lower()}.test/externalconf", (certificate,))
    anchor = replace(Anchor(instance, (source,), TurnedClock().now()), **changes)
    return XmlFile("anchor.xml", write_anchor(anchor))
