import pytest
from hypothesis import given
from hypothesis import strategies as st

from sild.protocol.errors import IncorrectCertificate
from sild.protocol.pki import der
from sild.protocol.pki.names import find_attribute, name_key, name_text, write_name


def name(*attributes):
    """A name of (oid, tag, contents), one relative name each."""
    return der.sequence(
        *(
            der.set_of(der.sequence(der.identifier(oid), der.tagged(tag, contents)))
            for oid, tag, contents in attributes
        )
    )


CN, ORG, EMAIL = "2.5.4.3", "2.5.4.10", "1.2.840.113549.1.9.1"
UTF8, PRINTABLE, IA5, BMP = 0x0C, 0x13, 0x16, 0x1E


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "CN=plain"),
        ('a,b+c"d\\e<f>g;h=i#j', r"CN=a\,b\+c\"d\\e\<f\>g\;h\=i\#j"),
        (" edge ", r"CN=\ edge\ "),
        ("  ", r"CN=\ \ "),
        ("nul\0", r"CN=nul\00"),
        ("Õun", "CN=Õun"),
    ],
)
def test_a_name_is_escaped_as_java_does(value, text):
    assert name_text(name((CN, UTF8, value.encode()))) == text


def test_the_last_relative_name_comes_first():
    written = write_name([("C", "EE"), ("O", "Org"), ("CN", "x")])
    assert name_text(written) == "CN=x,O=Org,C=EE"


def test_attributes_beyond_rfc_2253_are_numbers_and_hexadecimal():
    written = name((CN, UTF8, b"Cyber"), (EMAIL, IA5, b"aaa@bbb.ccc"))
    assert name_text(written) == "1.2.840.113549.1.9.1=#160b616161406262622e636363,CN=Cyber"
    assert name_text(name((CN, 0x02, b"\x01"))) == "CN=#020101"


def test_several_attributes_of_one_relative_name_are_joined():
    parts = [
        der.sequence(der.identifier(oid), der.tagged(UTF8, value))
        for oid, value in ((CN, b"x"), (ORG, b"y"))
    ]
    assert name_text(der.sequence(der.set_of(*parts))) == "CN=x+O=y"


def test_the_same_name_in_other_letters_and_strings_is_the_same_name():
    one = name((CN, PRINTABLE, b"Test  CA "))
    assert name_key(one) == name_key(name((CN, UTF8, b"test ca")))
    assert name_key(one) == name_key(name((CN, BMP, "TEST CA".encode("utf-16-be"))))


def test_other_names_are_other_names():
    names = [
        name((CN, UTF8, b"a")),
        name((CN, UTF8, b"b")),
        name((ORG, UTF8, b"a")),
        name((CN, UTF8, b"a"), (ORG, UTF8, b"a")),
        name((ORG, UTF8, b"a"), (CN, UTF8, b"a")),
        name((CN, UTF8, b"a'), ('2.5.4.10', 'a")),
        name((CN, UTF8, b"ab")),
        name((CN, UTF8, b"a b")),
        name(),
    ]
    assert len({name_key(n) for n in names}) == len(names)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["CN", "O", "OU", "C", "serialNumber", "businessCategory", "DC"]),
            st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1).filter(
                str.strip
            ),
        ),
        max_size=5,
        unique_by=lambda field: field[0],
    )
)
def test_what_is_written_is_found_again(fields):
    written = write_name(fields)
    for keyword, value in fields:
        assert find_attribute(written, keyword) == value
    assert find_attribute(written, "organizationIdentifier") is None


def test_of_several_attributes_the_one_nearest_the_leaf_counts():
    assert find_attribute(name((CN, UTF8, b"root"), (CN, UTF8, b"leaf")), "CN") == "leaf"


def test_an_attribute_that_is_no_text_is_refused():
    with pytest.raises(IncorrectCertificate, match="no text"):
        find_attribute(name((CN, 0x02, b"\x01")), "CN")


@pytest.mark.parametrize("field", [("nickname", "x"), ("CN", ""), ("CN", "  "), ("CN", "x" * 1025)])
def test_a_field_that_no_subject_can_have_is_refused(field):
    with pytest.raises(IncorrectCertificate):
        write_name([field])


@given(st.binary(max_size=60))
def test_any_bytes_are_a_name_or_refused(data):
    for read in (name_text, name_key, lambda name: find_attribute(name, "CN")):
        try:
            read(data)
        except IncorrectCertificate:
            continue
