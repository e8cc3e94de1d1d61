"""What a request says of itself, whichever side reads it."""

from sild.protocol.ids import ClientId, ServiceId
from sild.protocol.rest.message import RestRequest
from sild.protocol.soap.message import SoapMessage


class RestSaid:
    """What a REST request says."""

    def __init__(self, rest: RestRequest) -> None:
        self._rest = rest

    @property
    def client(self) -> ClientId:
        """Who asks."""
        return self._rest.client

    @property
    def service(self) -> ServiceId:
        """What is called."""
        return self._rest.service

    @property
    def query_id(self) -> str:
        """The message id."""
        return self._rest.message_id

    @property
    def request_id(self) -> str:
        """The id by which both servers know the exchange."""
        return self._rest.request_id or ""

    @property
    def title(self) -> str:
        """One line for the log of exchanges."""
        return f"{self._rest.verb} {self._rest.service} for {self._rest.client}"


class SoapSaid:
    """What a SOAP request says."""

    def __init__(self, message: SoapMessage) -> None:
        self._message = message

    @property
    def client(self) -> ClientId:
        """Who asks."""
        return self._message.header.client

    @property
    def service(self) -> ServiceId:
        """What is called."""
        return self._message.header.service

    @property
    def query_id(self) -> str:
        """The message id."""
        return self._message.header.message_id

    @property
    def title(self) -> str:
        """One line for the log of exchanges."""
        return f"SOAP {self.service} for {self.client}"
