import pytest

from protocol.globalconf.publisher import sample_private, signing_key
from sild.protocol.errors import InvalidXml
from sild.protocol.globalconf.anchor import Anchor, Source, write_anchor
from sild.protocol.globalconf.document import read_document
from sild.protocol.globalconf.private_parameters import write_private_parameters

SCHEMA = "globalconf/v2/private-parameters.xsd"


def test_a_schema_of_two_documents_does_not_let_one_stand_for_the_other():
    private = write_private_parameters(sample_private())
    anchor = write_anchor(Anchor("DEV", (Source("http://a/", (signing_key().certificate.der,)),)))
    read_document(private, "conf", SCHEMA)
    read_document(anchor, "configurationAnchor", SCHEMA)
    with pytest.raises(InvalidXml):
        read_document(private, "configurationAnchor", SCHEMA)
    with pytest.raises(InvalidXml):
        read_document(anchor, "conf", SCHEMA)
