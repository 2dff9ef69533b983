"""The services process: reads the controller's segment, feeds the ledger and MQTT.

loop          attach, read, feed, attach again
ledger_feed   journal to ledger; a failure keeps the cursor
mqtt_feed     journal and snapshot to MQTT; live only
watch         changes from scan to scan as declared events
carbon_feed   grid carbon intensity into the mailbox
factor_feed   factors from services and MQTT, asked in a thread of their own
factor_http   one question to a service, with a time limit
supervisor    starts the process and starts it again
"""

from edgectl.services.carbon_feed import CarbonFeed, CarbonPoster, FileFeed
from edgectl.services.factor_feed import FactorFeed, feed_of, scope_of
from edgectl.services.loop import Services, Settings
from edgectl.services.supervisor import Supervisor

__all__ = [
    "CarbonFeed",
    "CarbonPoster",
    "FactorFeed",
    "FileFeed",
    "Services",
    "Settings",
    "Supervisor",
    "feed_of",
    "scope_of",
]
