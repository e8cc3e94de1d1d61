import pytest

from components.serverconf.described import API_URL, WSDL_URL, api, wsdl
from sild.components.serverconf.confined_reading import (
    Description,
    Kind,
    Reading,
    read_confined,
    read_steps,
)
from sild.components.serverconf.service_errors import (
    InvalidOpenApi,
    InvalidWsdl,
    UnsupportedOpenApi,
)
from sild.runtime.confined import Confinement
from sild.runtime.packing import Packer

pytestmark = pytest.mark.anyio


def aliases(depth):
    """A short text that is ten times as long with each further line, once it is spelt out."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for number in range(1, depth):
        inner = ", ".join([f"*a{number - 1}"] * 10)
        lines.append(f"a{number}: &a{number} [{inner}]")
    return ("openapi: 3.0.0\n" + "\n".join(lines)).encode()


async def test_a_child_reads_what_is_read_here():
    for kind, url, content in (
        (Kind.WSDL, WSDL_URL, wsdl("a", ("b", "v1"))),
        (Kind.OPENAPI, API_URL, api("GET /a", "GET /b/{id}")),
        (Kind.WSDL, WSDL_URL, b"no"),
        (Kind.OPENAPI, API_URL, api("GET /a", version="2.0")),
    ):
        description = Description(kind, url, content)
        *_, here = read_steps(description)
        assert await read_confined(description) == here


@pytest.mark.parametrize(
    ("kind", "refused"), [(Kind.WSDL, InvalidWsdl), (Kind.OPENAPI, InvalidOpenApi)]
)
async def test_what_cannot_be_read_is_refused(kind, refused):
    reading = await read_confined(Description(kind, API_URL, b"\0"))
    with pytest.raises(refused) as caught:
        reading.get_services() if kind is Kind.WSDL else reading.get_api()
    assert caught.value.metadata == (caught.value.message,)


async def test_a_version_that_is_not_supported_is_told_by_its_code_alone():
    reading = await read_confined(Description(Kind.OPENAPI, API_URL, api(version="3.9.0")))
    with pytest.raises(UnsupportedOpenApi) as caught:
        reading.get_api()
    assert caught.value.metadata == ()


@pytest.mark.parametrize("content", [aliases(12), b"[" * 500_000, b"a: " + b"{" * 500_000])
async def test_a_description_that_would_take_everything_takes_nothing_from_us(content):
    little = Confinement(memory=256 * 1024**2, processor_seconds=2)
    reading = await read_confined(Description(Kind.OPENAPI, API_URL, content), little)
    with pytest.raises(InvalidOpenApi):
        reading.get_api()


async def test_what_was_read_but_is_too_much_to_be_checked_is_warned_of():
    async def give_up_half_way(module, arguments, data, confinement):
        first, _ = [packer.encode(each) for each in read_steps(description)]
        return (first,)

    packer = Packer(Reading)
    description = Description(Kind.OPENAPI, API_URL, api("GET /a"))
    found = (await read_confined(description, run=give_up_half_way)).get_api()
    assert [each.path for each in found.operations] == ["/a"]
    assert "too large to be checked" in found.warnings[0]


@pytest.mark.parametrize(
    "answer", [b"", b"\xff", Packer(Reading).encode(Reading(refused=("other", "x")))]
)
async def test_a_child_that_answers_something_else_is_not_believed(answer):
    async def answer_oddly(module, arguments, data, confinement):
        return (answer,)

    description = Description(Kind.WSDL, WSDL_URL, wsdl("a"))
    with pytest.raises(InvalidWsdl):
        (await read_confined(description, run=answer_oddly)).get_services()
