"""PR-SIGDOC: XAdES signatures over message parts, single or batched."""
