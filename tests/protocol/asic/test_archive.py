import contextlib
import hashlib
import io
import tracemalloc
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence_builder import entries_in, linked, rezipped
from pki_builder import NOON
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.asic.archive import (
    START,
    ArchiveWriter,
    ChainHead,
    InvalidArchive,
    Link,
    LinkingInfo,
    archive_name,
    read_linking_info,
    verify_archive,
    write_linking_info,
)
from sild.protocol.asic.archivechain import BrokenChain, NamedArchive, order_archives

CONTAINERS = {"a-request-1.asice": b"one", "b-response-2.asice": b"two", "c.asice": b""}
ARCHIVE, HEAD = linked(START, CONTAINERS)
NEXT, LAST = linked(HEAD, {"d.asice": b"four"})
DIGEST = "ab" * 64


def verified(data):
    return verify_archive(io.BytesIO(data))


def chain_of(*contents):
    digest = ""
    for content in contents:
        joined = digest + hashlib.sha512(content).hexdigest()
        digest = hashlib.sha512(joined.encode()).hexdigest()
    return digest


@contextlib.contextmanager
def peak_memory():
    tracemalloc.start()
    peaks = []
    try:
        yield lambda: peaks[0]
        peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


# Writing and reading


def test_an_archive_chains_its_containers_from_what_was_before():
    assert HEAD.digest == chain_of(b"one", b"two", b"")
    assert LAST.digest == chain_of(b"one", b"two", b"", b"four")
    found = verified(NEXT)
    assert (found.previous, found.last_digest, found.containers) == (HEAD, LAST.digest, 1)


def test_the_linking_info_stands_last_in_the_form_of_the_reference():
    entries = entries_in(ARCHIVE)
    assert list(entries) == [*CONTAINERS, "linkinginfo"]
    first, second, third = chain_of(b"one"), chain_of(b"one", b"two"), HEAD.digest
    assert entries["linkinginfo"].decode() == (
        f"- - SHA-512\n{first} a-request-1.asice\n{second} b-response-2.asice\n{third} c.asice\n"
    )
    assert entries_in(NEXT)["linkinginfo"].startswith(
        f"{HEAD.digest} {HEAD.archive} SHA-512\n".encode()
    )


def test_containers_are_stored_as_they_are():
    with zipfile.ZipFile(io.BytesIO(ARCHIVE)) as archive:
        for entry in archive.infolist():
            assert entry.compress_size >= entry.file_size
            assert entry.date_time == (2026, 1, 15, 12, 0, 0)
        assert archive.testzip() is None


def test_each_call_gives_the_bytes_that_come_next_and_keeps_none():
    writer = ArchiveWriter(START)
    writer.add("warm.asice", bytes(1000), NOON)
    with peak_memory() as peak:
        for number in range(50):
            assert len(writer.add(f"{number}.asice", bytes(500_000), NOON)) > 500_000
    assert peak() < 5_000_000
    assert writer.size == 50 * 500_000 + 1000
    assert b"linkinginfo" in writer.finish()


def test_a_large_archive_is_verified_in_constant_memory():
    data, head = linked(START, {f"{n}.asice": bytes(2_000_000) for n in range(10)})
    file = io.BytesIO(data)
    with peak_memory() as peak:
        assert verify_archive(file).last_digest == head.digest
    assert peak() < 5_000_000


def test_the_span_is_that_of_the_messages():
    writer = ArchiveWriter(START)
    for number, hours in enumerate((2, -3, 1)):
        writer.add(f"{number}.asice", b"", NOON + timedelta(hours=hours))
    assert writer.span == (NOON - timedelta(hours=3), NOON + timedelta(hours=2))


@pytest.mark.parametrize("name", ["linkinginfo", "a b.asice", "a\n.asice", "twice.asice", "a.zip"])
def test_a_name_that_could_not_be_linked_is_refused(name):
    writer = ArchiveWriter(START)
    writer.add("twice.asice", b"", NOON)
    with pytest.raises(InvalidArchive):
        writer.add(name, b"", NOON)


def test_an_archive_without_a_container_is_not_finished():
    with pytest.raises(InvalidArchive):
        ArchiveWriter(START).finish()


def test_the_algorithm_may_change_from_one_archive_to_the_next():
    data, head = linked(HEAD, {"e.asice": b"five"}, algorithm=DigestAlgorithm.SHA256)
    assert verified(data).last_digest == head.digest
    assert len(head.digest) == 64
    joined = HEAD.digest + hashlib.sha256(b"five").hexdigest()
    assert head.digest == hashlib.sha256(joined.encode()).hexdigest()


FIRST, SECOND = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("group", "suffix", "name"),
    [
        (None, "zip", "mlog-20260102030405-20261231000000-abababababababab.zip"),
        ("DEV/GOV/M1", "zip", "mlog-DEV_GOV_M1-20260102030405-20261231000000-abababababababab.zip"),
        (
            'a\\<>/:|*?\0\x1f\x7f\x85 "é',
            "zip.gpg",
            'mlog-a_____________"é-20260102030405-20261231000000-abababababababab.zip.gpg',
        ),
    ],
)
def test_an_archive_is_named_for_its_group_its_span_and_its_last_digest(group, suffix, name):
    assert archive_name((FIRST, SECOND), DIGEST, group, suffix) == name
    zone = timezone(timedelta(hours=3))
    span = (FIRST.astimezone(zone), SECOND.astimezone(zone))
    assert archive_name(span, DIGEST, group, suffix) == name


def test_a_long_group_is_cut_as_the_reference_cuts_it():
    name = archive_name((FIRST, SECOND), DIGEST, "g" * 300)
    assert name.startswith(f"mlog-{'g' * 200}20260102")


DIGESTS = st.binary(min_size=64, max_size=64).map(bytes.hex)
# A dash alone stands for nothing.
NAMES = st.text("abcdefXYZ0123456789%-_.", min_size=1, max_size=40).filter(lambda name: name != "-")


@given(
    st.one_of(st.just(START), st.builds(ChainHead, DIGESTS, NAMES)),
    st.lists(st.builds(Link, DIGESTS, NAMES), unique_by=lambda link: link.name, max_size=5),
)
def test_linking_info_is_read_as_it_was_written(previous, links):
    info = LinkingInfo(previous, DigestAlgorithm.SHA512, tuple(links))
    assert read_linking_info(write_linking_info(info)) == info


def test_linking_info_may_have_the_line_ends_of_another_system():
    info = LinkingInfo(HEAD, DigestAlgorithm.SHA512, (Link(DIGEST, "a.asice"),))
    assert read_linking_info(write_linking_info(info).replace(b"\n", b"\r\n")[:-2]) == info


def test_the_archive_before_may_have_spaces_in_its_name():
    info = read_linking_info(f"{DIGEST} mlog-a b.zip SHA-512\n".encode())
    assert info.previous == ChainHead(DIGEST, "mlog-a b.zip")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- -",
        "- - MD5",
        "- - SHA-1",
        "- - SHA-999",
        f"{DIGEST[1:]} a SHA-512",
        f"{DIGEST.upper()} a SHA-512",
        "- - SHA-512\n\n",
        "- - SHA-512\nabc a.asice",
        f"- - SHA-512\n{DIGEST}",
        f"- - SHA-512\n{DIGEST} ",
        f"- - SHA-512\n{DIGEST} a b",
        f"- - SHA-512\n{DIGEST}  a",
        f"- - SHA-512\n{DIGEST} a\n{DIGEST} a",
        f"- - SHA-256\n{DIGEST} a",
        "- - SHA-512\n\xff",
    ],
)
def test_what_is_no_linking_info_is_refused(text):
    with pytest.raises(InvalidArchive):
        read_linking_info(text.encode("latin-1"))


@given(st.binary(max_size=300))
def test_any_bytes_are_linking_info_or_an_error_of_ours(data):
    for given_data in (data, b"- - SHA-512\n" + data):
        with contextlib.suppress(InvalidArchive):
            read_linking_info(given_data)


@given(st.data())
def test_any_change_of_bytes_leaves_the_archive_whole_or_is_refused(data):
    changed = bytearray(NEXT)
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    try:
        found = verified(bytes(changed))
    except InvalidArchive:
        return
    assert found.last_digest == LAST.digest


# What is refused


def changed(**changes):
    entries = entries_in(ARCHIVE)
    info = entries.pop("linkinginfo")
    for attribute, content in changes.items():
        name = attribute.replace("_", ".")
        if content is None:
            del entries[name]
        else:
            entries[name] = content
    return rezipped({**entries, "linkinginfo": info})


def test_a_changed_container_is_named():
    with pytest.raises(InvalidArchive, match=r"the chain breaks at c\.asice"):
        verified(changed(c_asice=b"changed"))


def test_a_container_that_was_taken_out_is_named():
    with pytest.raises(InvalidArchive, match=r"names c\.asice, which it does not hold"):
        verified(changed(c_asice=None))


def test_a_container_that_was_put_in_is_named():
    with pytest.raises(InvalidArchive, match=r"holds x\.asice, of which"):
        verified(changed(x_asice=b"x"))
    with pytest.raises(InvalidArchive, match=r"holds x\.txt, of which"):
        verified(changed(x_txt=b"x"))


def test_containers_in_another_order_are_refused():
    entries = entries_in(ARCHIVE)
    names = [*CONTAINERS]
    for order in permutations(names):
        shuffled = {name: entries[name] for name in [*order, "linkinginfo"]}
        if list(order) == names:
            verified(rezipped(shuffled))
        else:
            with pytest.raises(InvalidArchive, match="another order"):
                verified(rezipped(shuffled))


def test_containers_in_another_order_and_linked_so_have_another_last_digest():
    reordered, head = linked(START, dict(reversed(CONTAINERS.items())))
    assert verified(reordered).last_digest == head.digest != HEAD.digest


def test_a_link_that_was_changed_is_refused():
    info = entries_in(ARCHIVE)["linkinginfo"]
    entries = entries_in(ARCHIVE) | {
        "linkinginfo": info.replace(HEAD.digest.encode(), DIGEST.encode())
    }
    with pytest.raises(InvalidArchive, match="the chain breaks"):
        verified(rezipped(entries))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "zip archive"),
        (b"not a zip", "zip archive"),
        (ARCHIVE[:-100], "zip archive"),
        (rezipped({"a.asice": b""}), "no linking info"),
        (rezipped({"linkinginfo": b"- - SHA-512\n"}), "no container"),
    ],
)
def test_what_is_no_archive_is_refused(data, message):
    with pytest.raises(InvalidArchive, match=message):
        verified(data)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused():
    out = io.BytesIO(ARCHIVE)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("c.asice", b"twin")
    with pytest.raises(InvalidArchive, match="one name"):
        verified(out.getvalue())


# Chains of archives


def chain(length):
    """Archives that follow one another, named 0, 1, 2..."""
    head, found = START, []
    for number in range(length):
        data, head = linked(head, {f"{number}.asice": b"%d" % number})
        found.append(NamedArchive(str(number), verified(data)))
    return found


THREE = chain(3)


@pytest.mark.parametrize("given_order", [*permutations(THREE)])
def test_archives_given_in_any_order_are_put_into_that_of_the_chain(given_order):
    assert order_archives(list(given_order), "") == THREE
    assert order_archives(list(given_order), None) == THREE


def test_a_chain_may_go_on_from_what_was_verified_before():
    assert order_archives(THREE[1:], THREE[0].archive.last_digest) == THREE[1:]
    assert order_archives(THREE[2:], None) == THREE[2:]


@pytest.mark.parametrize("start", ["", None])
def test_an_archive_that_is_missing_between_others_is_named(start):
    with pytest.raises(BrokenChain) as broken:
        order_archives([THREE[2], THREE[0]], start)
    last = THREE[1].archive.last_digest
    assert f"2 goes on from {last} of mlog-" in broken.value.message
    assert "breaks after 0" in broken.value.message


def test_an_archive_that_is_missing_before_the_first_is_noticed():
    with pytest.raises(BrokenChain, match="no archive is the first"):
        order_archives(THREE[1:], "")
    with pytest.raises(BrokenChain, match="no archive goes on from abab"):
        order_archives(THREE, DIGEST)
    with pytest.raises(BrokenChain, match="no archive goes on from"):
        order_archives(THREE, THREE[2].archive.last_digest)


def test_archives_of_two_chains_are_refused():
    other = NamedArchive("other", verified(linked(START, {"x.asice": b"x"})[0]))
    with pytest.raises(BrokenChain, match="0 and other both begin a chain"):
        order_archives([*THREE, other], "")


def test_an_archive_given_twice_is_refused():
    with pytest.raises(BrokenChain, match="both go on from"):
        order_archives([*THREE, THREE[2]], "")


@pytest.mark.parametrize("year", [1970, 1979, 2200])
def test_a_message_of_a_wrong_clock_is_archived_all_the_same(year):
    writer = ArchiveWriter(START)
    written = writer.add("a.asice", b"container", datetime(year, 1, 1, tzinfo=UTC))
    written += writer.finish()
    assert verify_archive(io.BytesIO(written)).containers == 1
