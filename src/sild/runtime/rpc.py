"""Typed calls between the processes of one host, over Unix sockets.

A service is a class or Protocol whose public methods are all `async`: their signatures are the
contract, and what they take and give is packed as `packing` describes. One side calls
`serve_rpc(path, implementation, interface)`, the other `connect_rpc(path, interface)` and then
the methods of what it got. Calls are pipelined.
"""

from sild.runtime.packing import PackingError, decode, encode
from sild.runtime.rpc_client import close_rpc, connect_rpc
from sild.runtime.rpc_contract import (
    RpcContractError,
    RpcError,
    RpcOptions,
    RpcTimeout,
    RpcUnavailable,
)
from sild.runtime.rpc_server import RpcServer, serve_rpc

__all__ = [
    "PackingError",
    "RpcContractError",
    "RpcError",
    "RpcOptions",
    "RpcServer",
    "RpcTimeout",
    "RpcUnavailable",
    "close_rpc",
    "connect_rpc",
    "decode",
    "encode",
    "serve_rpc",
]
