"""Judge a container from its bytes: the verdict, and every step on the way to it."""

from collections.abc import Mapping
from dataclasses import dataclass

from sild.protocol.asic.container import Container, read_container
from sild.protocol.asic.strict import check_strictly
from sild.protocol.asic.verify import Report, Step, Steps, verify_container
from sild.protocol.errors import ProtocolError
from sild.protocol.pki.trust import Trust


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of a verification; it stopped at the error, if there is one."""

    steps: tuple[Step, ...]
    error: ProtocolError | None
    container: Container | None
    """What was read, whatever it is worth."""
    report: Report | None
    """What is proven; also where a strict verification refused more than the reference does."""

    @property
    def is_valid(self) -> bool:
        """Whether the container is evidence."""
        return self.error is None


def judge_container(data: bytes, trusts: Mapping[str, Trust]) -> Judgement:
    """Verify a container as the reference does; trust is by instance."""
    return _Trial(trusts).judge(data)


def judge_strictly(data: bytes, trusts: Mapping[str, Trust]) -> Judgement:
    """Verify a container, and refuse it if not every byte of it is evidence."""
    return _StrictTrial(trusts).judge(data)


class _Trial:
    def __init__(self, trusts: Mapping[str, Trust]) -> None:
        self._trusts = trusts
        self._steps = Steps()
        self._container: Container | None = None
        self._report: Report | None = None

    def judge(self, data: bytes) -> Judgement:
        error = None
        try:
            self._judge(data)
        except ProtocolError as caught:
            error = caught
            self._steps.fail(caught.message)
        return Judgement(self._steps.taken, error, self._container, self._report)

    def _judge(self, data: bytes) -> None:
        self._steps.ask("Is this a container?")
        self._container = read_container(data)
        self._steps.answer(_content_text(self._container))
        self._report = verify_container(self._container, self._trusts, self._steps)
        self._check_more(data, self._container, self._report)

    def _check_more(self, data: bytes, container: Container, report: Report) -> None:
        """Nothing more is asked."""


class _StrictTrial(_Trial):
    def _check_more(self, data: bytes, container: Container, report: Report) -> None:
        check_strictly(data, container, report, self._steps)


def _content_text(container: Container) -> str:
    attachments = len(container.attachments)
    texts = ["a message", "its signature"]
    if container.hash_chain is not None:
        texts.append("a hash chain")
    if container.timestamp is not None:
        texts.append("a time-stamp")
    if attachments:
        texts.append(f"{attachments} attachment{'s' if attachments > 1 else ''}")
    return f"yes, with {', '.join(texts)}"
