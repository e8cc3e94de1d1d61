"""How `sild verify` follows the renewals of a container."""

from collections.abc import Mapping
from dataclasses import replace

from sild.protocol.asic.container import read_entries
from sild.protocol.asic.judge import Judgement
from sild.protocol.asic.strict import NotStrict
from sild.protocol.asic.strictvalues import NotStrictValue, check_token
from sild.protocol.asic.verify import Step, moment_text
from sild.protocol.errors import ProtocolError
from sild.protocol.evidence.archive_manifest import (
    read_archive_manifest,
    renewal_names,
    verify_renewals,
)
from sild.protocol.evidence.renewal import Renewal, RenewalTrust, check_in_time
from sild.protocol.pki.timestamp import VerifiedTimestamp
from sild.protocol.pki.trust import Trust
from sild.runtime.clock import SystemClock

_QUESTION = "Was it renewed, and is it unchanged since?"


def follow_renewals(
    judgement: Judgement, data: bytes, trusts: Mapping[str, Trust], *, strict: bool
) -> Judgement:
    """The judgement with one more step where a valid container was renewed.

    Renewals that prove nothing leave the verdict, which is that of a verifier from before them;
    strictly, they are bytes that nobody vouches for.
    """
    report = judgement.report
    if report is None or not judgement.is_valid:
        return judgement
    entries = read_entries(data)
    if not renewal_names(entries):
        return judgement
    tsas = [tsa for trust in trusts.values() for tsa in trust.tsas]
    try:
        renewals = verify_renewals(entries, RenewalTrust(tsas, SystemClock().now()))
        own = VerifiedTimestamp(report.timestamped_at, report.tsa)
        check_in_time(own, renewals[0].stamped_at, renewals[0].name)
    except ProtocolError as error:
        message = f"its renewals prove nothing: {error.message}"
        found = _with_step(judgement, message, held=False)
        return replace(found, error=NotStrict(message)) if strict else found
    if strict:
        try:
            _check_newest(entries, renewals[-1])
        except NotStrictValue as error:
            message = f"the time-stamp of {renewals[-1].name}: {error.message}"
            return replace(_with_step(judgement, message, held=False), error=NotStrict(message))
    return _with_step(judgement, _text(renewals), held=True)


def _check_newest(entries: Mapping[str, bytes], newest: Renewal) -> None:
    """Raise NotStrictValue if its token could be another; older ones are covered by newer ones."""
    token = entries[read_archive_manifest(entries[newest.name]).token]
    check_token(token, newest.stamp.tsa.certificate)


def _with_step(judgement: Judgement, text: str, *, held: bool) -> Judgement:
    step = Step(len(judgement.steps) + 1, _QUESTION, text, held)
    return replace(judgement, steps=(*judgement.steps, step))


def _text(renewals: tuple[Renewal, ...]) -> str:
    moments = ", ".join(moment_text(each.stamped_at) for each in renewals)
    until = renewals[-1].protected_until
    return f"yes, at {moments}; that is protected until {until:%Y-%m-%d}"
