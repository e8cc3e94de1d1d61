"""Diagnostics of a security server, wired to what control has."""

from dataclasses import dataclass

from sild.components.diagnostics.alerts import Alerts
from sild.components.diagnostics.connections import ConnectionTests
from sild.components.diagnostics.diagnostics import Asked, Diagnostics, Watched
from sild.components.diagnostics.health import Health
from sild.servers.health import checks_of
from sild.servers.metrics import Metrics
from sild.servers.survey import (
    KnownConfiguration,
    NoTraffic,
    RegistrationTrial,
    RunningBackup,
    ServerMachine,
    SettingsProtection,
    Survey,
    UsedAuthorities,
)


@dataclass(frozen=True, slots=True)
class Diagnosing:
    """Everything that tells how the server fares."""

    diagnostics: Diagnostics
    connections: ConnectionTests
    alerts: Alerts
    health: Health
    metrics: Metrics


def make_diagnosing(survey: Survey) -> Diagnosing:
    """What tells how the server fares."""
    limits, clock = survey.limits, survey.clock
    configuration = KnownConfiguration(survey)
    watched = Watched(
        configuration,
        UsedAuthorities(survey),
        survey.keys,
        ServerMachine(survey),
        SettingsProtection(survey),
        NoTraffic(),
    )
    asked = Asked(survey.noted.responders, survey.noted.authorities, survey.fetcher)
    diagnostics = Diagnostics(watched, asked, limits, clock)
    connections = ConnectionTests(
        configuration,
        RegistrationTrial(survey),
        survey.proxy,
        survey.keys,
        clock,
        limits,
    )
    alerts = Alerts(survey.knowledge, survey.keys, RunningBackup(survey.backups), clock)
    health = Health(checks_of(survey, diagnostics), survey.health, clock)
    return Diagnosing(diagnostics, connections, alerts, health, Metrics(survey, health))
