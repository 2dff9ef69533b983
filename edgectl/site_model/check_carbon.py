"""What [carbon.feed] must say, by the kind of its source."""

from edgectl.profiles.problems import RANK_VALUE
from edgectl.site_model.context import Context
from edgectl.site_model.schema_carbon import CarbonFeedSection

PATH = ("carbon", "feed")
NEEDED = {
    "file": ("path",),
    "mqtt": ("topic", "zone"),
    "electricity-maps": ("zone", "token_env"),
    "watttime": ("zone", "token_env"),
    "eia-930": ("zone", "token_env"),
    "entso-e": ("zone", "token_env"),
    "uk": ("zone",),
}
OPTIONAL = {"file": (), "mqtt": ()}
OPTIONAL_OF_SERVICES = ("url", "poll_s")
DIRECT_ONLY = ("watttime", "uk")  # what these services publish is what leaves the stack


def check_carbon_feed(context: Context) -> None:
    """Report what is missing, what has no meaning, and a basis that the source does not have."""
    feed = context.file.carbon.feed
    if feed is None:
        return
    given = feed.model_fields_set - {"kind"}
    for name in NEEDED[feed.kind]:
        if name not in given:
            context.add(
                PATH,
                f"{name} is missing: a feed of kind {feed.kind} needs it",
                "Without it nothing can be asked, and the default would be booked for ever.",
                f"Add {name} to the feed.",
                RANK_VALUE,
            )
    allowed = (*NEEDED[feed.kind], *OPTIONAL.get(feed.kind, OPTIONAL_OF_SERVICES))
    for name in sorted(given - set(allowed)):
        context.add(
            (*PATH, name),
            f"{name} has no meaning for a feed of kind {feed.kind}",
            "It would be believed to do something.",
            f"Leave it out; {feed.kind} takes {', '.join(allowed)}.",
            RANK_VALUE,
        )
    _check_basis(context, feed)


def _check_basis(context: Context, feed: CarbonFeedSection) -> None:
    basis = context.file.carbon.basis
    if feed.kind in DIRECT_ONLY and not basis.startswith("direct"):
        context.add(
            (*PATH, "kind"),
            f"{feed.kind} publishes direct emissions; the basis is {basis}",
            "Direct and lifecycle figures differ by half; they must not be mixed.",
            "Use another source, or set the basis to direct.",
            RANK_VALUE,
        )
