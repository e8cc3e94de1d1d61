"""PR-MESS: the SOAP message protocol."""
