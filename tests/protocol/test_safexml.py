import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sild.protocol.errors import InvalidXml, MalformedSignature
from sild.protocol.safexml import (
    Schema,
    XmlLimits,
    canonical,
    child_text,
    children,
    element,
    find_child,
    find_child_text,
    get_child,
    has_name,
    local_name,
    namespace,
    qualified,
    read_xml,
    sub_element,
    text_of,
    write_xml,
)

BOMB = b"".join(
    [
        b'<!DOCTYPE a [<!ENTITY x0 "boom">',
        *(b'<!ENTITY x%d "&x%d;&x%d;">' % (n, n - 1, n - 1) for n in range(1, 40)),
        b"]>",
    ]
)
DTDS = {
    "empty": b"<!DOCTYPE a><a/>",
    "behind a declaration": b'<?xml version="1.0"?>\n<!DOCTYPE a><a/>',
    "behind a comment": b"<!-- > --><!DOCTYPE a><a/>",
    "external": b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
    "file entity": b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><a>&f;</a>',
    "parameter entity": b'<!DOCTYPE a [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><a/>',
    "bomb in text": BOMB + b"<a>&x39;</a>",
    "bomb in an attribute": BOMB + b'<a b="&x39;"/>',
    "bomb behind a comment": b"<!-- -->" + BOMB + b'<a b="&x39;"/>',
    "utf-16": "<!DOCTYPE a><a/>".encode("utf-16"),
    "utf-16 bomb": BOMB.decode().encode("utf-16") + '<a b="&x39;"/>'.encode("utf-16-le"),
}


@pytest.mark.parametrize("data", DTDS.values(), ids=DTDS)
def test_a_document_type_declaration_is_refused(data):
    with pytest.raises(InvalidXml):
        read_xml(data)


def test_a_doctype_in_text_is_only_text():
    data = b"<a><![CDATA[<!DOCTYPE html><html>]]><!-- <!DOCTYPE b> --></a>"
    assert text_of(read_xml(data)) == "<!DOCTYPE html><html>"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"<a>",
        b"<a/><b/>",
        b"<a>&unknown;</a>",
        b"<a b=1/>",
        b"\x00",
        b"<x:a/>",
        b"<a/>x",
    ],
)
def test_what_is_not_well_formed_is_refused(data):
    with pytest.raises(InvalidXml):
        read_xml(data)


def test_an_encoding_that_hides_letters_is_refused():
    with pytest.raises(InvalidXml, match="UTF-7"):
        read_xml(b'<?xml version="1.0" encoding="UTF-7"?><a>+AOk-</a>')
    assert read_xml(b'<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe9</a>').text == "é"


def test_a_document_is_read_up_to_its_limits_and_not_beyond():
    limits = XmlLimits(size=100, depth=3, tags=10, attributes=2)
    assert read_xml(b"<a><b><c/></b></a>".ljust(100), limits) is not None
    over = {
        "size": b"<a/>".ljust(101),
        "depth": b"<a><b><c><d/></c></b></a>",
        "tags": b"<a>" + b"<b/>" * 9 + b"</a>",
        "attributes": b'<a b="" c="" d=""/>',
    }
    for data in over.values():
        with pytest.raises(InvalidXml):
            read_xml(data, limits)


def test_depth_is_counted_on_the_deepest_branch():
    limits = XmlLimits(depth=5)
    wide = b"<b><c/></b>" * 50
    assert read_xml(b"<a>" + wide + b"</a>", limits) is not None
    deep = b"<b>" * 5 + b"</b>" * 5
    with pytest.raises(InvalidXml, match="5 levels"):
        read_xml(b"<a>" + wide + deep + wide + b"</a>", limits)


def test_a_large_text_needs_a_large_limit():
    data = b"<a>" + b"x" * 11_000_000 + b"</a>"
    with pytest.raises(InvalidXml, match="limit"):
        read_xml(data)
    assert len(text_of(read_xml(data, XmlLimits(size=20_000_000)))) == 11_000_000


@given(st.binary(max_size=100))
def test_any_bytes_are_a_document_or_refused(data):
    with contextlib.suppress(InvalidXml):
        read_xml(data)


@given(st.text("<>/ab='\" &;#!-[]?", max_size=60))
def test_any_text_is_a_document_or_refused(text):
    with contextlib.suppress(InvalidXml):
        root = read_xml(text.encode())
        assert canonical(read_xml(canonical(root))) == canonical(root)


# Canonicalisation: the examples are those of the specifications' rules, apex in context.

CONTEXT = (
    b'<r xmlns="urn:default" xmlns:a="urn:a" xmlns:b="urn:b" xml:lang="et">'
    b'<m xml:space="preserve"><!-- c --><b:x z="1" a:y="2" b="3"><a:i/></b:x> </m></r>'
)


def apex():
    return read_xml(CONTEXT)[0][1]


def test_the_apex_carries_all_namespaces_and_xml_attributes_in_scope():
    assert canonical(apex()) == (
        b'<b:x xmlns="urn:default" xmlns:a="urn:a" xmlns:b="urn:b"'
        b' b="3" z="1" xml:lang="et" xml:space="preserve" a:y="2"><a:i></a:i></b:x>'
    )


def test_canonicalising_leaves_the_tree_as_it_was():
    root = read_xml(CONTEXT)
    before = write_xml(root)
    canonical(root[0][1])
    assert write_xml(root) == before


def test_exclusive_canonicalisation_takes_only_what_is_used():
    assert canonical(apex(), exclusive=True) == (
        b'<b:x xmlns:a="urn:a" xmlns:b="urn:b" b="3" z="1" a:y="2"><a:i></a:i></b:x>'
    )
    inner = apex()[0]
    assert canonical(inner, exclusive=True) == b'<a:i xmlns:a="urn:a"></a:i>'
    assert canonical(inner, exclusive=True, inclusive_prefixes=["b"]) == (
        b'<a:i xmlns:a="urn:a" xmlns:b="urn:b"></a:i>'
    )


def test_an_undeclared_default_namespace_is_not_declared_again():
    root = read_xml(b'<r xmlns="urn:d"><m xmlns=""><n/></m></r>')
    assert canonical(root[0][0]) == b"<n></n>"
    assert canonical(root) == b'<r xmlns="urn:d"><m xmlns=""><n></n></m></r>'


def test_a_redeclared_prefix_has_its_nearest_meaning():
    root = read_xml(b'<p:r xmlns:p="urn:1"><m xmlns:p="urn:2"><n/></m></p:r>')
    assert canonical(root[0][0]) == b'<n xmlns:p="urn:2"></n>'


def test_carriage_returns_survive_canonicalisation():
    assert canonical(read_xml(b"<a>x&#13;\ny\r\nz</a>")) == b"<a>x&#xD;\ny\nz</a>"


def test_comments_are_kept_only_where_asked():
    root = read_xml(b"<a>x<!-- c -->y</a>")
    assert canonical(root) == b"<a>xy</a>"
    assert canonical(root, with_comments=True) == b"<a>x<!-- c -->y</a>"


def test_the_text_behind_an_element_is_not_part_of_it():
    root = read_xml(b"<a><b/>tail</a>")
    assert canonical(root[0]) == b"<b></b>"
    assert write_xml(root[0], declaration=False) == b"<b/>"


# Reading and building elements.


def test_a_comment_does_not_cut_a_text_short():
    root = read_xml(b"<a>admin<!-- -->@else<?p x?>where</a>")
    assert text_of(root) == "admin@elsewhere"


def test_elements_where_text_belongs_are_refused():
    with pytest.raises(InvalidXml, match="where text belongs"):
        text_of(read_xml(b"<a>x<b/></a>"))


def test_a_child_is_found_by_its_qualified_name_and_only_once():
    root = read_xml(b'<a xmlns:n="urn:n"><n:b>1</n:b><b>2</b><c>3</c><c/></a>')
    assert child_text(root, "{urn:n}b") == "1"
    assert child_text(root, "b") == "2"
    assert find_child(root, "d") is None
    assert find_child_text(root, "d") is None
    with pytest.raises(InvalidXml, match="has no d"):
        get_child(root, "{urn:n}d")
    with pytest.raises(InvalidXml, match="more than one c"):
        find_child(root, "c")
    assert [local_name(child) for child in children(root)] == ["b", "b", "c", "c"]
    assert [child.text for child in children(root, "c")] == ["3", None]
    assert namespace(root[0]) == "urn:n"
    assert namespace(root) is None
    assert has_name(root[0], qualified("urn:n", "b"))


def test_comments_are_no_children():
    assert list(children(read_xml(b"<a><!-- c --><?p x?></a>"))) == []


@given(st.text(max_size=30), st.text(max_size=30))
def test_what_is_built_is_read_back(text, value):
    try:
        root = element("{urn:n}a", namespaces={"n": "urn:n"})
        sub_element(root, "{urn:n}b", text, {"c": value})
    except InvalidXml:
        return
    written = write_xml(root)
    assert written.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<n:a xmlns:n="urn:n">')
    read = get_child(read_xml(written), "{urn:n}b")
    assert text_of(read) == text
    assert read.get("c") == value


def test_a_character_that_xml_cannot_hold_is_refused():
    with pytest.raises(InvalidXml):
        element("a", "\x00")
    with pytest.raises(InvalidXml):
        element("a", attributes={"b": "\x0b"})


# Schemas.

CHAIN = b"""<HashChainResult xmlns="http://cyber.ee/hashchain" URI="/sig-hashchain.xml#STEP0">
<d:DigestMethod xmlns:d="http://www.w3.org/2000/09/xmldsig#" Algorithm="urn:x"/>
<d:DigestValue xmlns:d="http://www.w3.org/2000/09/xmldsig#">AA==</d:DigestValue>
</HashChainResult>"""


def test_a_schema_accepts_what_fits_and_refuses_the_rest():
    schema = Schema.load("hashchain.xsd")
    schema.check(read_xml(CHAIN))
    with pytest.raises(InvalidXml, match="UR"):
        schema.check(read_xml(CHAIN.replace(b"URI", b"UR")))
    with pytest.raises(MalformedSignature):
        schema.check(read_xml(CHAIN.replace(b"DigestValue", b"Digest")), MalformedSignature)


def test_an_element_is_checked_without_its_surroundings():
    outer = read_xml(b"<outer>" + CHAIN + b"</outer>")
    Schema.load("hashchain.xsd").check(outer[0])


def test_a_schema_is_loaded_once():
    assert Schema.load("hashchain.xsd") == Schema.load("hashchain.xsd")


@pytest.mark.parametrize(
    "name",
    [
        *(f"globalconf/v{version}/shared-parameters.xsd" for version in (2, 3, 4, 5, 6)),
        *(f"globalconf/v{version}/private-parameters.xsd" for version in (2, 3)),
        "hashchain.xsd",
        "identifiers.xsd",
        "management-requests.xsd",
        "monitoring-conf.xsd",
        "monitoring.xsd",
        "ocsp-fetchinterval-conf.xsd",
        "ocsp-nextupdate-conf.xsd",
        "op-monitoring.xsd",
        "service-metainfo.xsd",
        "xades-schema.xsd",
        "xmldsig-core-schema.xsd",
    ],
)
def test_every_packaged_schema_loads_with_what_it_imports(name):
    assert Schema.load(name).name == name


def test_a_refusal_by_a_schema_does_not_quote_a_long_value_whole():
    document = read_xml(b"<conf>" + b"x" * 10_000 + b"</conf>")
    with pytest.raises(InvalidXml) as refused:
        Schema.load("ocsp-nextupdate-conf.xsd").check(document)
    assert len(refused.value.message) < 400
