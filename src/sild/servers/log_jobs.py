"""What control does with the message log again and again."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from sild.components.messagelog.errors import ArchivingFailed, NoTimestampingProvider
from sild.components.messagelog.settings import MessageLogSettings
from sild.protocol.errors import GlobalConfError, TimestampRefused
from sild.runtime.clock import Clock
from sild.runtime.schedule import Period, Schedule
from sild.runtime.timed import LOOK_SECONDS, Timed
from sild.servers.kept_messages import KeptMessages

# A time-stamp is asked for no more often, and no more seldom (PR-GCONF says nothing of it).
_SHORTEST_STAMPING, _LONGEST_STAMPING = 60.0, 86_400.0
# How often the workers are told how time-stamping stands, in seconds.
_TELL_INTERVAL = 10.0
_STAMPING_ERRORS = (NoTimestampingProvider, TimestampRefused, GlobalConfError)
# A journal that cannot be taken is reported no more often than this, in seconds.
_TAKE_RETRY = 10.0


@dataclass(frozen=True, slots=True)
class LogJobs:
    """The jobs; `interval` gives the seconds between time-stamps, None while nobody says."""

    messages: KeptMessages
    settings: MessageLogSettings
    interval: Callable[[], float | None]
    clock: Clock

    def plan(self, schedule: Schedule) -> None:
        """Add them to the jobs of the process."""
        settings, messages = self.settings, self.messages
        taking = settings.take_interval
        # What was logged before the log was switched off is taken all the same.
        schedule.every("message-log", Period(taking, max(taking, _TAKE_RETRY)), messages.take)
        cleaning = Timed(settings.clean_interval, messages.clean, self.clock)
        look = Period(LOOK_SECONDS, LOOK_SECONDS)
        schedule.every("message-log-cleaning", look, cleaning.look)
        archiving = Timed(settings.archive_interval, messages.archive, self.clock)
        look = Period(LOOK_SECONDS, LOOK_SECONDS, expected=(ArchivingFailed, OSError))
        schedule.every("message-log-archiving", look, archiving.look)
        if not settings.enabled:
            return
        telling = min(_TELL_INTERVAL, settings.acceptable_timestamp_failure_period / 4 or inf)
        schedule.every("time-stamping-standing", Period(telling, telling), messages.tell_standing)
        first = Period(_SHORTEST_STAMPING, _SHORTEST_STAMPING)

        async def stamp() -> int:
            """Time-stamp what waits, and come again when the global configuration says so."""
            wanted = self.interval() or _SHORTEST_STAMPING
            stamping.period = stamping_period(wanted, settings.timestamp_retry_delay)
            return await messages.stamp_waiting()

        stamping = schedule.every("time-stamping", first, stamp)


def stamping_period(interval: float, retry_delay: float) -> Period:
    """How often records are time-stamped, from what the configuration and the settings say."""
    retry = min(retry_delay or interval, interval)
    return Period(_clamped(interval), _clamped(retry), expected=_STAMPING_ERRORS)


def _clamped(seconds: float) -> float:
    return min(max(seconds, _SHORTEST_STAMPING), _LONGEST_STAMPING)
