"""MQTT: what is published, how it is encoded, and the connection to a broker.

birth       the retained JSON that names the tables and profiles of this run
topics      the tree edgectl/v1/<site>/<node>/...
state       the retained JSON snapshot, 1 Hz
fast        the msgpack message of one scan, 10 Hz
publisher   paho in its own thread, MQTT 5 or 3.1.1, bounded queues
broker      a broker of our own for the demo
"""

from edgectl.mqtt.birth import birth
from edgectl.mqtt.broker import Broker, start_broker
from edgectl.mqtt.fast import FastEncoder
from edgectl.mqtt.publisher import Publisher, Received
from edgectl.mqtt.state import StateEncoder
from edgectl.mqtt.topics import Topics

__all__ = [
    "Broker",
    "FastEncoder",
    "Publisher",
    "Received",
    "StateEncoder",
    "Topics",
    "birth",
    "start_broker",
]
