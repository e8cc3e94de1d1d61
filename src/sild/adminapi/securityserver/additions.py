"""What a security server's API says beyond, or other than, the published one: the table."""

from sild.adminapi.additions import ADDITIONS as OF_EVERY_API
from sild.adminapi.contract import Addition

ADDITIONS: tuple[Addition, ...] = (*OF_EVERY_API,)
