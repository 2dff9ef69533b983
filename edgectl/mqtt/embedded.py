"""The embedded broker as a program: python -m edgectl.mqtt.embedded PORT. Ends on SIGTERM.

amqtt speaks MQTT 3.1.1 only. It listens on loopback and lets everyone there in.
"""

import asyncio
import logging
import signal
import sys

from amqtt.broker import Broker

ANONYMOUS = "amqtt.plugins.authentication.AnonymousAuthPlugin"


async def serve(port: int) -> None:
    """Run a broker on a port of loopback until SIGTERM."""
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {ANONYMOUS: {"allow_anonymous": True}},
        }
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await broker.start()
    await stop.wait()
    await broker.shutdown()


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # it tells of every client that comes and goes
    asyncio.run(serve(int(sys.argv[1])))
