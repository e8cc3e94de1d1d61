"""The limits of every connection of the proxy, as its settings tell them."""

from collections.abc import Callable

from sild.components.proxy.settings import AntiDosSettings, ProxySettings
from sild.runtime.http_client import ClientLimits
from sild.runtime.http_server import Admission, Limits
from sild.runtime.http_wire import LeastPace


def peer_pool_limits(settings: ProxySettings) -> ClientLimits:
    """What connections to other security servers are granted."""
    keep = settings.client_idle_connection_monitor_seconds
    return ClientLimits(
        connect_seconds=settings.connect_seconds,
        tls_seconds=min(settings.connect_seconds, 10.0),
        header_seconds=settings.answer_seconds,
        idle_seconds=settings.silence_seconds,
        write_seconds=settings.silence_seconds,
        least_pace=_pace(settings),
        idle_keep_seconds=keep if settings.pool_enable_connection_reuse else 0,
        connections=settings.pool_total_max_connections,
        connections_per_target=settings.pool_total_default_max_connections_per_route,
    )


def service_pool_limits(settings: ProxySettings, timeout_seconds: float) -> ClientLimits:
    """What connections to services of one time-out are granted."""
    return ClientLimits(
        connect_seconds=min(settings.connect_seconds, timeout_seconds),
        tls_seconds=min(settings.connect_seconds, timeout_seconds, 10.0),
        header_seconds=timeout_seconds,
        idle_seconds=timeout_seconds,
        write_seconds=min(settings.silence_seconds, timeout_seconds),
        least_pace=_pace(settings),
        idle_keep_seconds=settings.service_idle_connection_seconds,
        connections=settings.pool_total_max_connections,
        connections_per_target=settings.pool_total_default_max_connections_per_route,
    )


def ocsp_pool_limits(settings: ProxySettings) -> ClientLimits:
    """What connections to the OCSP ports of other security servers are granted."""
    return ClientLimits(
        connect_seconds=settings.ocsp_connect_seconds,
        header_seconds=settings.ocsp_read_seconds,
        idle_seconds=settings.ocsp_read_seconds,
    )


def client_listener_limits(settings: ProxySettings, anti_dos: AntiDosSettings) -> Limits:
    """What information systems may take."""
    return Limits(
        header_seconds=settings.client_connector_initial_idle_seconds,
        idle_seconds=settings.client_connector_max_idle_seconds,
        body_seconds=settings.silence_seconds,
        write_seconds=settings.silence_seconds,
        least_pace=LeastPace(settings.client_slow_bytes, settings.slow_seconds),
        connections=anti_dos.max_parallel_connections,
        admission=_admission(anti_dos, None),
    )


def server_listener_limits(
    settings: ProxySettings, anti_dos: AntiDosSettings, is_known: Callable[[str], bool] | None
) -> Limits:
    """What other security servers may take; `is_known` tells their addresses from others."""
    return Limits(
        header_seconds=settings.server_connector_initial_idle_seconds,
        idle_seconds=settings.server_connector_max_idle_seconds,
        body_seconds=settings.silence_seconds,
        write_seconds=settings.silence_seconds,
        least_pace=_pace(settings),
        keeps_connections=settings.server_support_clients_pooled_connections,
        connections=anti_dos.max_parallel_connections,
        admission=_admission(anti_dos, is_known),
    )


def _pace(settings: ProxySettings) -> LeastPace:
    return LeastPace(settings.slow_bytes, settings.slow_seconds)


def _admission(
    anti_dos: AntiDosSettings, is_known: Callable[[str], bool] | None
) -> Admission | None:
    if not anti_dos.enabled:
        return None
    return Admission(
        largest_share=anti_dos.largest_share,
        waiting=anti_dos.max_waiting_connections,
        waiting_seconds=anti_dos.waiting_seconds,
        free_files=anti_dos.min_free_file_handles,
        is_known=is_known,
    )
