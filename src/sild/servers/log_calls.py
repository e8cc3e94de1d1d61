"""What workers ask of control about records that they logged, as `SettleCalls` says it."""

from sild.runtime.rpc import RpcOptions

# Several time-stamping authorities may have to be waited for.
LOG_OPTIONS = RpcOptions(timeouts={"commit": 60.0, "stamp": 300.0})
