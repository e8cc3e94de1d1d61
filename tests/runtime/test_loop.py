import asyncio

import pytest

from sild.runtime.loop import run


def test_a_process_runs_its_main_on_uvloop_and_gets_its_result():
    async def main():
        return type(asyncio.get_running_loop()).__module__

    assert run(main()) == "uvloop"


def test_an_error_of_main_comes_out():
    async def main():
        raise LookupError

    with pytest.raises(LookupError):
        run(main())
