"""An information system on fastapi-xroad-soap: that library is the SOAP server, this the service.

Run as `provider.py HOST PORT` by the Python of the environment that provider.lock describes.
"""

import hashlib
import sys
from datetime import date
from pathlib import Path

import uvicorn
from fastapi_xroad_soap import MessageBody, SoapService, XroadHeader
from fastapi_xroad_soap.elements import Date, Integer, String, SwaRef
from fastapi_xroad_soap.faults import SoapFault

NAMESPACE = "http://register.example/soap"
OURS = {"ns": "reg", "nsmap": {"reg": NAMESPACE}}

soap = SoapService(
    name="register",
    path="/soap",
    this_namespace=NAMESPACE,
    wsdl_override=Path(__file__).with_name("register.wsdl"),
)


class Question(MessageBody, tag="findPerson", **OURS):
    name: str = String(tag="name", ns="reg")
    born: date = Date(tag="born", ns="reg")


class Answer(MessageBody, tag="findPersonResponse", **OURS):
    name: str = String(tag="name", ns="reg")
    born: date = Date(tag="born", ns="reg")
    asker: str = String(tag="asker", ns="reg")


@soap.action("findPerson")
def find_person(body: Question, header: XroadHeader) -> Answer:
    if body.name == "Nobody":
        raise SoapFault("Client.NotFound", "no such person", "register", http_status_code=500)
    return Answer(name=body.name, born=body.born, asker=header.user_id)


class Delivered(MessageBody, tag="copyDocuments", **OURS):
    copies: int = Integer(tag="copies", ns="reg")
    document: list[SwaRef.File] = SwaRef.Element(tag="document", ns="reg")


class Copied(MessageBody, tag="copyDocumentsResponse", **OURS):
    received: int = Integer(tag="received", ns="reg")
    sha256: list[str] = String(tag="sha256", ns="reg")
    document: list[SwaRef.File] = SwaRef.Element(tag="document", ns="reg")


@soap.action("copyDocuments")
def copy_documents(body: Delivered, header: XroadHeader) -> Copied:
    documents = [(each.name, each.content) for each in body.document]
    return Copied(
        received=len(documents),
        sha256=[hashlib.sha256(content).hexdigest() for _, content in documents],
        document=[
            SwaRef.File(name=name, content=content) for name, content in documents * body.copies
        ],
    )


if __name__ == "__main__":
    uvicorn.run(soap, host=sys.argv[1], port=int(sys.argv[2]), log_level="warning")
