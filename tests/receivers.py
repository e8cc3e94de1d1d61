"""Where archives are taken in tests: an endpoint for forms, and a store that checks signatures.

The store verifies Signature Version 4 by what its specification says, with code of its own.
"""

import hashlib
import hmac
import threading
from contextlib import contextmanager
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

ACCESS_KEY, SECRET, REGION = "AKIDTEST", "the/secret+of a test", "eu-test-1"


class Receiver:
    """What was received, by name, and how it was answered; `faults` are answered first."""

    def __init__(self):
        self.received = {}
        self.faults = []
        self.problems = []
        self.tokens = set()
        self.requests = 0
        self.url = ""

    @contextmanager
    def running(self, host="127.0.0.1", tls=None):
        """Answer while the block runs."""
        server = ThreadingHTTPServer((host, 0), _handler_of(self))
        scheme = "http"
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://{host}:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def take_form(self, path, headers, body):
        """A POST of a form with one file."""
        head = f"Content-Type: {headers['content-type']}\r\n\r\n".encode()
        (part,) = BytesParser().parsebytes(head + body).get_payload()
        assert part.get_param("name", header="content-disposition") == "file"
        self.received[part.get_filename()] = part.get_payload(decode=True)
        return 201, b""

    def take_object(self, path, headers, body):
        """A PUT into a bucket."""
        problem = _wrong_with(path, headers, body)
        if problem:
            self.problems.append(problem)
            return 403, f"<Error><Code>{problem}</Code></Error>".encode()
        self.tokens.add(headers.get("x-amz-security-token"))
        self.received[unquote(path)] = body
        return 200, b""


def _handler_of(receiver):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self._take(receiver.take_form)

        def do_PUT(self):
            self._take(receiver.take_object)

        def _take(self, take):
            receiver.requests += 1
            body = self.rfile.read(int(self.headers["content-length"]))
            fault = receiver.faults.pop(0) if receiver.faults else None
            if fault == "hang up":
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            code, told = (fault, b"") if fault else take(self.path, headers, body)
            self.send_response(code)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *told):
            pass

    return Handler


def _wrong_with(path, headers, body):
    """Why the request is refused, by the code that a store gives."""
    algorithm, _, rest = headers.get("authorization", "").partition(" ")
    told = dict(each.strip().split("=", 1) for each in rest.split(",") if "=" in each)
    if algorithm != "AWS4-HMAC-SHA256":
        return "AccessDenied"
    access_key, _, scope = told["Credential"].partition("/")
    day, region, service, ends = scope.split("/")
    if access_key != ACCESS_KEY:
        return "InvalidAccessKeyId"
    if (region, service, ends) != (REGION, "s3", "aws4_request"):
        return "AuthorizationHeaderMalformed"
    if hashlib.sha256(body).hexdigest() != headers["x-amz-content-sha256"]:
        return "XAmzContentSHA256Mismatch"
    names = told["SignedHeaders"].split(";")
    wanted = {"host"} | {name for name in headers if name.startswith("x-amz-")}
    if not wanted <= set(names) or not headers["x-amz-date"].startswith(day):
        return "AccessDenied"
    lines = [headers_line(name, headers[name]) for name in names]
    canonical = (
        f"PUT\n{path}\n\n{''.join(lines)}\n{';'.join(names)}\n{headers['x-amz-content-sha256']}"
    )
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    string = f"{algorithm}\n{headers['x-amz-date']}\n{scope}\n{hashed}"
    key = ("AWS4" + SECRET).encode()
    for word in (day, region, service, ends, string):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return "" if hmac.compare_digest(key.hex(), told["Signature"]) else "SignatureDoesNotMatch"


def headers_line(name, value):
    """A header in the canonical request."""
    return f"{name}:{value.strip()}\n"
