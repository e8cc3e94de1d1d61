import shutil

import pytest

from sild.runtime.gnupg import GnupgError
from sild.runtime.gnupg_home import GnupgHome, SignatureMissing

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("gpg") is None, reason="there is no GnuPG"),
]
LIMIT = 100_000


@pytest.fixture
async def home(tmp_path):
    # Longer than the names of sockets may be.
    made = GnupgHome(tmp_path / ("x" * 100) / "gnupg")
    yield made
    await made.stop_agent()


async def test_a_key_is_made_and_found_by_its_whole_name(home):
    made = await home.make_key("DEV/GOV/1")
    assert await home.find_secret_key("DEV/GOV/1") == made
    assert await home.find_secret_key("DEV/GOV") is None
    assert home.directory.stat().st_mode & 0o777 == 0o700


async def test_a_name_that_looks_like_an_option_is_a_name(home):
    made = await home.make_key("--homedir")
    assert await home.find_secret_key("--homedir") == made


@pytest.mark.parametrize("encrypted", [False, True])
async def test_what_was_sealed_is_opened(home, tmp_path, encrypted):
    key = await home.make_key("DEV")
    (tmp_path / "source").write_bytes(b"content" * 1000)
    await home.seal(tmp_path / "source", tmp_path / "sealed", key, [key] if encrypted else [])
    assert await home.open(tmp_path / "sealed", tmp_path / "opened", LIMIT) == key
    assert (tmp_path / "opened").read_bytes() == b"content" * 1000
    anybody = GnupgHome(tmp_path / "anybody")
    reading = anybody.open(tmp_path / "sealed", tmp_path / "read", LIMIT, signed=False)
    if encrypted:
        with pytest.raises(GnupgError):
            await reading
    else:
        await reading
        assert (tmp_path / "read").read_bytes() == b"content" * 1000
    await anybody.stop_agent()
    with pytest.raises(GnupgError):
        await home.open(tmp_path / "sealed", tmp_path / "more", 1000)


async def test_the_signature_of_a_known_stranger_is_none_of_ours(home, tmp_path):
    await home.make_key("DEV")
    stranger = GnupgHome(tmp_path / "stranger")
    key = await stranger.make_key("DEV")
    await home.import_key(await stranger.export_key(key))
    (tmp_path / "source").write_bytes(b"content")
    await stranger.seal(tmp_path / "source", tmp_path / "sealed", key, [])
    await stranger.stop_agent()
    with pytest.raises(SignatureMissing):
        await home.open(tmp_path / "sealed", tmp_path / "opened", LIMIT)
    assert await home.open(tmp_path / "sealed", tmp_path / "o2", LIMIT, signed=False) is None


async def test_what_is_no_message_is_refused(home, tmp_path):
    await home.make_key("DEV")
    (tmp_path / "junk").write_bytes(b"\xa3junk")
    for signed in (True, False):
        with pytest.raises(GnupgError):
            await home.open(tmp_path / "junk", tmp_path / "opened", LIMIT, signed=signed)


async def test_a_key_that_is_not_there_is_told(home):
    with pytest.raises(GnupgError):
        await home.export_key("0" * 40)


async def test_without_gnupg_nothing_is_done(tmp_path):
    with pytest.raises(GnupgError, match="cannot be run"):
        await GnupgHome(tmp_path / "g", "no-such-program").make_key("DEV")
