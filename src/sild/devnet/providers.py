"""The information systems of three invented organisations: health insurance, taxes, police.

Each is an application of its own, which also has the exercises. The data is in `invented`.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from sild.devnet.errors import DevnetError
from sild.devnet.exercises import exercises
from sild.devnet.invented import (
    DEBTS,
    INCOMES,
    INSURANCES,
    LICENCES,
    PENALTIES,
    PEOPLE,
    VEHICLES,
    Person,
    Vehicle,
)
from sild.devnet.offerings import Operation, Refused, answer, build_app, read_json
from sild.devnet.portraits import portrait
from sild.devnet.soap_offerings import File, Told, by_soap
from sild.runtime.clock import Clock, SystemClock

_MOST_PEOPLE = 100
# Every income is taxed alike above what is free.
_FREE_OF_TAX, _TAX_PERCENT = 7_848, 22

GET, POST = ("GET",), ("POST",)
PHOTO_PATH = "/soap/licences"


def health_insurance_app(clock: Clock | None = None) -> Starlette:
    """Who is insured, since when, and who their doctor is."""
    return build_app(
        "Health insurance fund (invented)",
        (
            Operation(GET, "/insurance", "Everybody, or with `insured=` some.", _insurances),
            Operation(GET, "/insurance/{code}", "One person's insurance.", _insurance),
            Operation(POST, "/insurance/queries", "Several people's insurance.", _query_insurance),
            *exercises(clock or SystemClock()),
        ),
    )


def tax_board_app(clock: Clock | None = None) -> Starlette:
    """Incomes, debts and declarations."""
    return build_app(
        "Tax board (invented)",
        (
            Operation(GET, "/income/{code}", "Income, all years or one `year`.", _income),
            Operation(GET, "/debt/{code}", "Unpaid taxes.", _debt),
            Operation(POST, "/income/declarations", "Declare an income.", _declare),
            *exercises(clock or SystemClock()),
        ),
    )


def police_app(clock: Clock | None = None) -> Starlette:
    """Driving licences, penalties and vehicles."""
    return build_app(
        "Police board (invented)",
        (
            Operation(GET, "/licences/{code}", "A driving licence.", _licence),
            Operation(GET, "/penalties/{code}", "Penalties, or those `unpaid`.", _penalties),
            Operation(GET, "/vehicles/{plate}", "A vehicle.", _vehicle),
            Operation(POST, "/vehicles/search", "Vehicles by owner.", _search_vehicles),
            Operation(POST, PHOTO_PATH, "A driver's photo, by SOAP.", by_soap(_licence_photo)),
            *exercises(clock or SystemClock()),
        ),
    )


PROVIDERS: Mapping[str, Callable[[Clock | None], Starlette]] = {
    "health-insurance": health_insurance_app,
    "tax-board": tax_board_app,
    "police": police_app,
}


def provider_app(name: str, clock: Clock | None = None) -> Starlette:
    """The application of a name in PROVIDERS; raises DevnetError for another name."""
    if name not in PROVIDERS:
        raise DevnetError(f"there is no provider {name!r}, but {', '.join(PROVIDERS)}")
    return PROVIDERS[name](clock)


def _person(code: str) -> Person:
    if code not in PEOPLE:
        raise Refused(404, f"nobody has the personal code {code}")
    return PEOPLE[code]


def _named(code: str) -> dict[str, Any]:
    person = _person(code)
    return {"personalCode": person.code, "name": person.name}


def _is_wanted(request: Request, name: str) -> bool | None:
    text = request.query_params.get(name)
    if text not in (None, "true", "false"):
        raise Refused(400, f"{name} is true or false, not {text!r}")
    return None if text is None else text == "true"


def _number(content: Mapping[str, Any], name: str) -> int:
    value = content.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 10**9:
        raise Refused(400, f"{name} is no number from 0 to 1000000000")
    return value


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str):
        raise Refused(400, f"{name} is no text")
    return value


def _insurance_of(code: str) -> dict[str, Any]:
    return _named(code) | asdict(INSURANCES[code])


async def _insurance(request: Request) -> Response:
    return answer(_insurance_of(request.path_params["code"]))


async def _insurances(request: Request) -> Response:
    wanted = _is_wanted(request, "insured")
    everybody = [_insurance_of(code) for code in PEOPLE]
    return answer([each for each in everybody if wanted in (None, each["insured"])])


async def _query_insurance(request: Request) -> Response:
    codes = (await read_json(request)).get("personalCodes")
    if not isinstance(codes, list) or len(codes) > _MOST_PEOPLE:
        raise Refused(400, f"personalCodes is no list of at most {_MOST_PEOPLE}")
    return answer([_insurance_of(str(code)) for code in codes])


async def _income(request: Request) -> Response:
    named = _named(request.path_params["code"])
    incomes = INCOMES[named["personalCode"]]
    year = request.query_params.get("year")
    if year is None:
        return answer(named | {"currency": "EUR", "incomes": incomes})
    found = next((known for known in incomes if str(known) == year), None)
    if found is None:
        raise Refused(404, f"no income is known for the year {year[:20]}")
    return answer(named | {"currency": "EUR", "year": found, "income": incomes[found]})


async def _debt(request: Request) -> Response:
    named = _named(request.path_params["code"])
    return answer(named | {"currency": "EUR", "debt": DEBTS.get(named["personalCode"], 0)})


async def _declare(request: Request) -> Response:
    """What the tax would be; nothing is remembered."""
    content = await read_json(request)
    named = _named(_text(content, "personalCode"))
    income, year = _number(content, "income"), _number(content, "year")
    tax = max(0, income - _FREE_OF_TAX) * _TAX_PERCENT // 100
    return answer(named | {"currency": "EUR", "year": year, "income": income, "tax": tax}, 201)


async def _licence(request: Request) -> Response:
    named = _named(request.path_params["code"])
    if (licence := LICENCES.get(named["personalCode"])) is None:
        raise Refused(404, f"{named['name']} has no driving licence")
    return answer(named | {"categories": licence[0], "validUntil": licence[1]})


async def _licence_photo(asked: Mapping[str, str]) -> Told:
    """The oldest of the services: the photo is an attachment, which the answer refers to."""
    named = _named(asked.get("personalCode", ""))
    code = named["personalCode"]
    if (licence := LICENCES.get(code)) is None:
        raise Refused(404, f"{named['name']} has no driving licence")
    photo = File(f"photo-{code}.png", "image/png", portrait(code))
    told = named | {"validUntil": licence[1], "photo": f"cid:{photo.name}"}
    return Told(told, photo)


async def _penalties(request: Request) -> Response:
    named = _named(request.path_params["code"])
    unpaid = _is_wanted(request, "unpaid")
    known = PENALTIES.get(named["personalCode"], ())
    found = [asdict(each) for each in known if unpaid in (None, not each.paid)]
    return answer(named | {"currency": "EUR", "penalties": found})


def _described(vehicle: Vehicle) -> dict[str, Any]:
    return {
        "plate": vehicle.plate,
        "make": vehicle.make,
        "year": vehicle.year,
        "inspectedUntil": vehicle.inspected_until,
        "owner": _named(vehicle.owner),
    }


async def _vehicle(request: Request) -> Response:
    plate = request.path_params["plate"].upper()
    if plate not in VEHICLES:
        raise Refused(404, f"no vehicle has the plate {plate}")
    return answer(_described(VEHICLES[plate]))


async def _search_vehicles(request: Request) -> Response:
    owner = _person(_text(await read_json(request), "owner"))
    return answer([_described(each) for each in VEHICLES.values() if each.owner == owner.code])
