"""People, cars and incomes that do not exist: what the devnet's organisations know.

Personal codes begin with 99, which no real one does; names say that they are examples.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody invented."""

    code: str
    name: str
    born: str


@dataclass(frozen=True, slots=True)
class Insurance:
    """Whether somebody is insured, since when, on what ground, and who their doctor is."""

    insured: bool
    since: str | None
    ground: str | None
    doctor: str | None


@dataclass(frozen=True, slots=True)
class Penalty:
    """A fine, in euros."""

    number: str
    date: str
    offence: str
    amount: int
    paid: bool


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A car and its owner's personal code."""

    plate: str
    make: str
    year: int
    owner: str
    inspected_until: str


PEOPLE = {
    person.code: person
    for person in (
        Person("99001010011", "Mari Näidis", "1990-01-01"),
        Person("99002020022", "Jaan Proovimees", "1985-02-02"),
        Person("99003030033", "Matti Esimerkki", "1972-03-03"),
        Person("99004040044", "Ona Pavyzdytė", "2004-04-04"),
        Person("99005050055", "Jöns Exempelsson", "1958-05-05"),
    )
}

INSURANCES = {
    "99001010011": Insurance(True, "2014-09-01", "employment", "Dr Tiiu Katse"),
    "99002020022": Insurance(True, "2009-03-15", "employment", "Dr Anna Mallilääkäri"),
    "99003030033": Insurance(False, None, None, "Dr Tiiu Katse"),
    "99004040044": Insurance(True, "2004-04-04", "studies", "Dr Pavel Obrazcov"),
    "99005050055": Insurance(True, "2023-05-05", "pension", None),
}

# Yearly gross income in euros.
INCOMES = {
    "99001010011": {2023: 28_450, 2024: 31_200, 2025: 33_960},
    "99002020022": {2023: 41_000, 2024: 39_875, 2025: 42_310},
    "99003030033": {2023: 6_120, 2024: 0, 2025: 4_480},
    "99004040044": {2024: 2_300, 2025: 9_750},
    "99005050055": {2023: 19_600, 2024: 20_050, 2025: 20_480},
}

# Unpaid taxes in euros.
DEBTS = {"99003030033": 1_284}

# Categories that may be driven, and until when.
LICENCES = {
    "99001010011": (("B",), "2031-06-30"),
    "99002020022": (("A", "B", "C"), "2027-11-30"),
    "99004040044": (("AM",), "2029-08-31"),
    "99005050055": (("B", "BE"), "2026-12-31"),
}

PENALTIES = {
    "99002020022": (
        Penalty("P-2024-0017", "2024-06-11", "speeding, 21 km/h over the limit", 120, True),
        Penalty("P-2025-0230", "2025-02-03", "parking on a pavement", 40, False),
    ),
    "99005050055": (
        Penalty("P-2025-0711", "2025-07-19", "driving without lights in daytime", 80, False),
    ),
}

VEHICLES = {
    vehicle.plate: vehicle
    for vehicle in (
        Vehicle("000AAA", "Exemplar Uno", 2019, "99001010011", "2026-09-30"),
        Vehicle("000BBB", "Specimen Estate", 2012, "99002020022", "2025-12-31"),
        Vehicle("000CCC", "Mockmobil T", 2023, "99002020022", "2027-03-31"),
        Vehicle("000DDD", "Sample 600", 1968, "99005050055", "2026-05-31"),
    )
}
