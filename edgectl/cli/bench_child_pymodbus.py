"""pymodbus as a client of a bench: its asynchronous client, a task a connection, all gathered."""

import asyncio
import time
from contextlib import ExitStack

from edgectl.cli.bench_child import CONNECT_TIMEOUT_S, HOST, Asked, Lap, serve


def pymodbus_client(asked: Asked, stack: ExitStack) -> Lap:
    """Closed loop, or every device gathered in each period."""
    from pymodbus.client import AsyncModbusTcpClient  # may be missing
    from pymodbus.exceptions import ModbusException

    clients: list[AsyncModbusTcpClient] = []
    runner = stack.enter_context(asyncio.Runner())

    async def connect() -> None:
        clients.extend(
            AsyncModbusTcpClient(HOST, port=port, retries=0, timeout=CONNECT_TIMEOUT_S)
            for port in asked.ports
        )
        if not all(await asyncio.gather(*(client.connect() for client in clients))):
            raise OSError("pymodbus could not connect to every device of the responder")

    async def close() -> None:
        for client in clients:
            client.close()

    async def read_device(client: AsyncModbusTcpClient) -> int:
        address = 0
        for size in asked.sizes:
            reply = await client.read_holding_registers(address, count=size, device_id=1)
            if reply.isError():
                raise OSError(f"a device did not answer pymodbus: {reply}")
            address += size
        return len(asked.sizes)

    async def read_until(client: AsyncModbusTcpClient, end_s: float) -> int:
        replies = 0
        while time.monotonic() < end_s:
            replies += await read_device(client)
        return replies

    async def closed_lap(seconds: float) -> int:
        end_s = time.monotonic() + seconds
        return sum(await asyncio.gather(*(read_until(client, end_s) for client in clients)))

    async def paced_lap(seconds: float) -> int:
        replies, deadline_s = 0, time.monotonic()
        for _ in range(asked.periods(seconds)):
            deadline_s += asked.period_ns * 1e-9
            await asyncio.sleep(max(deadline_s - time.monotonic(), 0.0))
            replies += sum(await asyncio.gather(*map(read_device, clients)))
        return replies

    def lap(seconds: float) -> tuple[int, int]:
        cpu_ns = time.thread_time_ns()
        try:
            replies = runner.run(paced_lap(seconds) if asked.period_ns else closed_lap(seconds))
        except ModbusException as error:
            raise OSError(f"a device did not answer pymodbus: {error}") from None
        return replies, time.thread_time_ns() - cpu_ns

    runner.run(connect())
    stack.callback(lambda: runner.run(close()))
    return lap


if __name__ == "__main__":
    serve(pymodbus_client)
