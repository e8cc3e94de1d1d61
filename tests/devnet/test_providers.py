import asyncio
import hashlib
from datetime import timedelta

import httpx
import pytest

from sild.devnet.errors import DevnetError
from sild.devnet.exercises import blob
from sild.devnet.invented import DEBTS, INCOMES, INSURANCES, LICENCES, PENALTIES, PEOPLE, VEHICLES
from sild.devnet.providers import PROVIDERS, provider_app
from sild.devnet.serving import serve_app

MARI, JAAN, MATTI = "99001010011", "99002020022", "99003030033"


@pytest.fixture
async def serve(clock):
    """Serve a provider, and give a client of it."""
    open_ = []

    async def serve(name):
        served = await serve_app(provider_app(name, clock))
        client = httpx.AsyncClient(base_url=served.url, trust_env=False, timeout=60)
        open_.append((client, served))
        return client

    yield serve
    for client, served in open_:
        await client.aclose()
        await served.close()


@pytest.fixture
async def health(serve):
    return await serve("health-insurance")


@pytest.fixture
async def tax(serve):
    return await serve("tax-board")


@pytest.fixture
async def police(serve):
    return await serve("police")


def test_everybody_is_plainly_invented():
    assert all(code.startswith("99") and len(code) == 11 for code in PEOPLE)
    for known in (INSURANCES, INCOMES, DEBTS, LICENCES, PENALTIES):
        assert known.keys() <= PEOPLE.keys()
    assert INSURANCES.keys() == INCOMES.keys() == PEOPLE.keys()
    assert {vehicle.owner for vehicle in VEHICLES.values()} <= PEOPLE.keys()


async def test_health_insurance_is_told_by_personal_code(health):
    answer = await health.get(f"/insurance/{MARI}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "personalCode": MARI,
        "name": "Mari Näidis",
        "insured": True,
        "since": "2014-09-01",
        "ground": "employment",
        "doctor": "Dr Tiiu Katse",
    }
    assert (await health.get(f"/insurance/{MARI}")).content == answer.content
    uninsured = await health.get("/insurance", params={"insured": "false"})
    assert [person["personalCode"] for person in uninsured.json()] == [MATTI]
    asked = await health.post("/insurance/queries", json={"personalCodes": [JAAN, MARI]})
    assert [person["name"] for person in asked.json()] == ["Jaan Proovimees", "Mari Näidis"]


async def test_income_and_debt_are_told_by_personal_code(tax):
    assert (await tax.get(f"/income/{MARI}")).json()["incomes"]["2024"] == 31_200
    one = await tax.get(f"/income/{MARI}", params={"year": 2025})
    assert one.json()["income"] == 33_960
    assert (await tax.get(f"/debt/{MATTI}")).json()["debt"] == 1_284
    assert (await tax.get(f"/debt/{MARI}")).json()["debt"] == 0
    declared = await tax.post(
        "/income/declarations", json={"personalCode": MARI, "year": 2025, "income": 10_848}
    )
    assert declared.status_code == 201
    assert declared.json()["tax"] == 660


async def test_licences_penalties_and_vehicles_are_told(police):
    assert (await police.get(f"/licences/{JAAN}")).json()["categories"] == ["A", "B", "C"]
    assert (await police.get(f"/licences/{MATTI}")).status_code == 404
    unpaid = await police.get(f"/penalties/{JAAN}", params={"unpaid": "true"})
    assert [penalty["number"] for penalty in unpaid.json()["penalties"]] == ["P-2025-0230"]
    assert (await police.get("/vehicles/000aaa")).json()["owner"]["name"] == "Mari Näidis"
    found = await police.post("/vehicles/search", json={"owner": JAAN})
    assert {vehicle["plate"] for vehicle in found.json()} == {"000BBB", "000CCC"}


@pytest.mark.parametrize(
    ("provider", "method", "path", "body", "status"),
    [
        ("health-insurance", "GET", "/insurance/123", None, 404),
        ("health-insurance", "GET", "/insurance?insured=perhaps", None, 400),
        ("health-insurance", "POST", "/insurance/queries", b"{", 400),
        ("health-insurance", "POST", "/insurance/queries", b"[]", 400),
        ("health-insurance", "POST", "/insurance/queries", b'{"personalCodes": 1}', 400),
        ("health-insurance", "POST", "/insurance/queries", b'{"personalCodes": ["1"]}', 404),
        ("health-insurance", "POST", "/insurance/queries", bytes(2_000_000), 413),
        ("health-insurance", "DELETE", "/insurance", None, 405),
        ("tax-board", "GET", f"/income/{MARI}?year=1999", None, 404),
        ("tax-board", "GET", f"/income/{MARI}?year=x", None, 404),
        ("tax-board", "POST", "/income/declarations", b"{}", 400),
        ("tax-board", "POST", "/income/declarations", b'{"personalCode":"99001010011","year":2025,"income":-1}', 400),
        ("police", "GET", "/vehicles/999ZZZ", None, 404),
        ("police", "POST", "/vehicles/search", b'{"owner": 7}', 400),
        ("police", "GET", "/nothing", None, 404),
        ("police", "GET", "/slow?seconds=x", None, 400),
        ("police", "GET", "/slow?seconds=nan", None, 400),
        ("police", "GET", "/slow?seconds=1000", None, 400),
        ("police", "GET", "/blob/9999999999999999", None, 400),
    ],
)  # fmt: skip
async def test_a_mistake_is_answered_with_its_status(serve, provider, method, path, body, status):
    client = await serve(provider)
    answer = await client.request(method, path, content=body)
    assert answer.status_code == status


async def test_echo_tells_what_arrived(health):
    body = bytes(range(256))
    answer = await health.post(
        "/echo/a%2Fb?x=%20y&x", content=body, headers=[("x-twice", "1"), ("x-twice", "2")]
    )
    told = answer.json()
    assert told["method"] == "POST"
    assert (told["path"], told["query"]) == ("/echo/a%2Fb", "x=%20y&x")
    assert [value for name, value in told["headers"] if name == "x-twice"] == ["1", "2"]
    assert told["body"].encode("latin-1") == body
    assert (await health.delete("/echo")).json()["method"] == "DELETE"


async def test_mirror_gives_the_body_back(tax):
    answer = await tax.put("/mirror", content=b"<x/>", headers={"content-type": "text/xml"})
    assert answer.content == b"<x/>"
    assert answer.headers["content-type"].startswith("text/xml")


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 3_000_000])
async def test_a_blob_has_its_size_and_always_the_same_bytes(police, size):
    answer = await police.get(f"/blob/{size}")
    assert answer.headers["content-length"] == str(size)
    assert answer.content == b"".join(blob(size))
    assert len(answer.content) == size
    chunked = await police.get(f"/blob/{size}?chunked")
    assert "content-length" not in chunked.headers
    assert chunked.content == answer.content


def test_no_two_blocks_of_a_blob_are_alike():
    blocks = list(blob(10 * 65_536))
    assert len(set(blocks)) == len(blocks) == 10


async def test_sink_takes_any_body_and_tells_its_digest(police):
    async def body():
        for block in blob(5_000_000):
            yield block

    answer = await police.post("/sink", content=body())
    digest = hashlib.sha256(b"".join(blob(5_000_000))).hexdigest()
    assert answer.json() == {"size": 5_000_000, "sha256": digest}
    assert (await police.post("/sink")).json()["size"] == 0


async def test_slow_waits_on_the_clock(police, clock):
    loop = asyncio.get_running_loop()
    asked = asyncio.gather(police.get("/slow?seconds=300"))
    for _ in range(6000):
        await asyncio.sleep(0.01)
        if clock._sleepers:
            break
    started = loop.time()
    clock.turn(timedelta(seconds=301))
    (answer,) = await asked
    assert answer.json() == {"waited": 300.0}
    assert loop.time() - started < 200


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_index_lists_every_operation(serve, provider):
    client = await serve(provider)
    index = (await client.get("/")).json()
    assert index["openapi"] == "3.0.3"
    assert {"/echo", "/blob/{size}", "/sink", "/slow"} <= index["paths"].keys()
    assert any("{code}" in path for path in index["paths"])


def test_an_unknown_provider_is_a_mistake():
    with pytest.raises(DevnetError, match="no provider"):
        provider_app("army")
