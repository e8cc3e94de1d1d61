"""What an administrator should do about what went wrong: one sentence for each kind of error."""

from collections.abc import Mapping

_ANY = "The log of this server has the details of what happened at that moment."

# By the last part of a code, or its beginning where that ends in an underscore.
_ADVICE: Mapping[str, str] = {
    "unknown_host": "Check the host name in the address, and the name server of this machine.",
    "network_error": (
        "Check the address and the port, that somebody serves there, and that no firewall stands "
        "between; a TLS failure means that another certificate or name is shown than is expected."
    ),
    "io_error": "The other side was reached but did not answer in time: try again, or ask it.",
    "http_error": "Whoever runs the other side should look into its log for this status.",
    "global_conf_get_version_failed": (
        "The source answers, but not with a configuration: check its address and path in the "
        "anchor, and ask the operator of the Central Server."
    ),
    "anchor_file_not_found": "Upload the configuration anchor that the Central Server gives.",
    "global_conf_outdated": (
        "Check that this server's clock is right and that a source can be reached; the operator of "
        "the Central Server should see whether it still publishes."
    ),
    "global_conf_signature_verification_failure": (
        "The source is not signed by whom the anchor names: download the anchor anew, over a way "
        "that you trust, and compare its hash."
    ),
    "global_conf_missing_verification_cert": (
        "The source is not signed by whom the anchor names: download the anchor anew, over a way "
        "that you trust, and compare its hash."
    ),
    "global_conf_": (
        "Tell the operator of the Central Server what this source gave; another source may serve."
    ),
    "malformed_": (
        "Tell the operator of the Central Server what this source gave; another source may serve."
    ),
    "ocsp_failed": "Ask the certification authority whether its OCSP responder is in order.",
    "cert_validation": (
        "Look at the certificate: it may be revoked, expired or of a CA that is not approved."
    ),
    "incorrect_validation_info": (
        "Check that this server's clock is right; else the certification authority should look at "
        "its OCSP responder."
    ),
    "timestamper_failed": "Ask the time-stamping authority why it refuses or gives no good answer.",
    "tsp_certificate_not_found": (
        "The operator of the Central Server should register the certificate by which this "
        "authority signs now."
    ),
    "certificate_not_found": (
        "Generate an authentication key and a certificate request, have it certified, and import "
        "the certificate."
    ),
    "sign_certificate_not_supported": (
        "Request a certificate for authentication from the certification authority."
    ),
    "management_request_sending_failed": (
        "Check that port 4001 of the Central Server can be reached, and that the configuration "
        "anchor is its own."
    ),
    "unknown_member": (
        "Check the identifier; if it is right, its registration is missing or has not reached "
        "the server that refuses yet."
    ),
    "access_denied": "Ask the provider for the right to make this call with this client.",
    "unknown_service": "The server was reached, but it does not tell of its services.",
    "ssl_authentication_failed": (
        "Look at the authentication certificates of both servers and their OCSP responses."
    ),
    "cannot_create_signature": (
        "Log in to the token, and look at the signing certificate of the client and its OCSP "
        "response."
    ),
    "maintenance_mode": "Try again when the maintenance of that server is over.",
    "invalid_security_server": "Choose a server at which that client is registered.",
    "token_not_active": "Enter the PIN of the token.",
}


def advice_on(code: str) -> str:
    """What to do about an error with this code."""
    last = code.rpartition(".")[2]
    if (found := _ADVICE.get(last)) is not None:
        return found
    begun = (told for name, told in _ADVICE.items() if name.endswith("_") and last.startswith(name))
    return next(begun, _ANY)
