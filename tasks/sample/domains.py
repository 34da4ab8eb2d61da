"""The domains of the sample world: one table of questions and sentence frames per cluster.

Every value, relation and kind belongs to one domain only, so a cluster left out of training brings
words that no other cluster uses as an answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from .names import compounds


@dataclass(frozen=True)
class Domain:
    """The words of one cluster.

    ``{e}`` stands for a name, ``{v}`` for a value, ``{n}`` for a number, ``{a}`` and ``{b}``
    for the two ends of a relation and ``{r}`` for its word. Frames are written without a capital
    and without a stop, since a text may join several of them into one sentence.
    """

    number: int
    name: str
    state_ask: str
    state_frames: tuple[str, ...]
    goods_ask: str
    goods_frames: tuple[str, ...]
    relation_frames: tuple[str, ...]
    count_ask: str
    count_frames: tuple[str, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """What its names are: people's callings and places."""
        return compounds("kinds", self.number)

    @property
    def states(self) -> tuple[str, ...]:
        return compounds("states", self.number)

    @property
    def goods(self) -> tuple[str, ...]:
        return compounds("goods", self.number)

    @property
    def relations(self) -> tuple[str, ...]:
        return compounds("relations", self.number)


# How a question names what it asks for, and frames that any cluster may use beside its own.
WHO_ASKS = ("Who goes with {v}?", "Which one has to do with {v}?", "Find who is named with {v}.")
SHARED_STATE_FRAMES = ("{e} is {v}", "some say {v} of {e}")
SHARED_GOODS_FRAMES = ("{e} has {v}", "there is {v} for {e}")
SHARED_RELATION_FRAMES = ("{a} is {r} to {b}", "as {r} of {b} we know {a}")
SHARED_COUNT_FRAMES = ("{e} has {n}", "there are {n} for {e}")

DOMAINS: tuple[Domain, ...] = (
    Domain(
        number=0,
        name="kinship",
        state_ask="What mood is that one in?",
        state_frames=("{e} is {v} today", "today {e} feels {v}", "all see that {e} is {v}"),
        goods_ask="What does that one love?",
        goods_frames=(
            "{e} loves {v}",
            "at home {e} loves {v}",
            "{e} praises {v}",
            "{e} misses {v}",
        ),
        relation_frames=("{a} is the {r} of {b}", "{a} became {r} to {b}"),
        count_ask="How many children are there?",
        count_frames=("{e} has {n} children", "there are {n} children with {e}"),
    ),
    Domain(
        number=1,
        name="trade",
        state_ask="How is the price there?",
        state_frames=(
            "{e} has a {v} price",
            "the price of {e} is {v}",
            "a {v} price is set by {e}",
        ),
        goods_ask="What does that one sell?",
        goods_frames=(
            "{e} sells {v}",
            "at the stall {e} sells {v}",
            "{e} offers {v}",
            "{e} weighs {v}",
        ),
        relation_frames=("{a} is a {r} of {b}", "{a} acts as {r} for {b}"),
        count_ask="How many coins are there?",
        count_frames=("{e} holds {n} coins", "the purse of {e} has {n} coins"),
    ),
    Domain(
        number=2,
        name="travel",
        state_ask="How does that one travel?",
        state_frames=("{e} goes by {v}", "by {v} came {e}", "{e} left home by {v}"),
        goods_ask="What does that one carry?",
        goods_frames=(
            "{e} carries {v}",
            "on the way {e} carries {v}",
            "{e} packs {v}",
            "{e} lost {v}",
        ),
        relation_frames=("{a} was the {r} of {b}", "{a} went as {r} with {b}"),
        count_ask="How many miles are left?",
        count_frames=("{e} has {n} miles left", "from {e} it is {n} miles"),
    ),
    Domain(
        number=3,
        name="weather",
        state_ask="What is the weather there?",
        state_frames=("{e} is {v}", "it is {v} in {e}", "in {e} the day is {v}"),
        goods_ask="What falls there?",
        goods_frames=("{e} gets {v}", "all week {e} gets {v}", "{e} sees {v}", "{e} fears {v}"),
        relation_frames=("{a} lies {r} of {b}", "{a} is seen {r} from {b}"),
        count_ask="How many degrees is it?",
        count_frames=("{e} has {n} degrees", "it is {n} degrees in {e}"),
    ),
    Domain(
        number=4,
        name="farming",
        state_ask="What is the soil like?",
        state_frames=("{e} has {v} soil", "the soil of {e} is {v}", "it is {v} soil at {e}"),
        goods_ask="What does that one grow?",
        goods_frames=(
            "{e} grows {v}",
            "this year {e} grows {v}",
            "{e} plants {v}",
            "{e} gathers {v}",
        ),
        relation_frames=("{a} is the {r} of {b}", "{a} works as {r} near {b}"),
        count_ask="How many sheep are there?",
        count_frames=("{e} keeps {n} sheep", "there are {n} sheep with {e}"),
    ),
    Domain(
        number=5,
        name="craft",
        state_ask="What color is the work?",
        state_frames=("{e} paints it {v}", "the work of {e} is {v}", "a {v} work came from {e}"),
        goods_ask="What does that one make?",
        goods_frames=(
            "{e} makes {v}",
            "in the yard {e} makes {v}",
            "{e} mends {v}",
            "{e} polishes {v}",
        ),
        relation_frames=("{a} is an able {r} of {b}", "{a} served as {r} under {b}"),
        count_ask="How many nails are there?",
        count_frames=("{e} used {n} nails", "a box of {n} nails went to {e}"),
    ),
    Domain(
        number=6,
        name="school",
        state_ask="What does that one study?",
        state_frames=("{e} studies {v}", "this term {e} reads {v}", "an essay on {v} is by {e}"),
        goods_ask="What does that one need?",
        goods_frames=(
            "{e} needs {v}",
            "for the lesson {e} needs {v}",
            "{e} borrows {v}",
            "{e} draws {v}",
        ),
        relation_frames=("{a} is now {r} of {b}", "{a} was named {r} for {b}"),
        count_ask="How many books are there?",
        count_frames=("{e} read {n} books", "the list of {n} books is from {e}"),
    ),
    Domain(
        number=7,
        name="festival",
        state_ask="What mask does that one wear?",
        state_frames=("{e} wears the {v} mask", "the {v} mask is on {e}", "{e} came as a {v}"),
        goods_ask="What does that one bring?",
        goods_frames=(
            "{e} brings {v}",
            "to the feast {e} brings {v}",
            "{e} hangs {v}",
            "{e} shares {v}",
        ),
        relation_frames=("{a} is the {r} of {b}", "{a} stood as {r} beside {b}"),
        count_ask="How many lanterns are there?",
        count_frames=("{e} lit {n} lanterns", "we saw {n} lanterns over {e}"),
    ),
    Domain(
        number=8,
        name="mining",
        state_ask="What is the tunnel like?",
        state_frames=("{e} has a {v} tunnel", "the tunnel of {e} is {v}", "it is {v} under {e}"),
        goods_ask="What does that one dig?",
        goods_frames=("{e} digs {v}", "down there {e} digs {v}", "{e} finds {v}", "{e} hauls {v}"),
        relation_frames=("{a} is the {r} for {b}", "{a} was hired as {r} by {b}"),
        count_ask="How many buckets are there?",
        count_frames=("{e} filled {n} buckets", "there were {n} buckets from {e}"),
    ),
    Domain(
        number=9,
        name="sea",
        state_ask="What flag does that one fly?",
        state_frames=("{e} flies a {v} flag", "the flag of {e} is {v}", "a {v} flag is on {e}"),
        goods_ask="What does that one catch?",
        goods_frames=(
            "{e} catches {v}",
            "in the bay {e} catches {v}",
            "{e} nets {v}",
            "{e} wants {v}",
        ),
        relation_frames=("{a} is the {r} of {b}", "{a} sailed as {r} with {b}"),
        count_ask="How many sails are there?",
        count_frames=("{e} shows {n} sails", "they count {n} sails on {e}"),
    ),
    Domain(
        number=10,
        name="music",
        state_ask="How is the song?",
        state_frames=("{e} has a {v} song", "the song of {e} is {v}", "a {v} song is by {e}"),
        goods_ask="What does that one play?",
        goods_frames=(
            "{e} plays {v}",
            "at night {e} plays {v}",
            "{e} tunes {v}",
            "{e} teaches {v}",
        ),
        relation_frames=("{a} is the {r} of {b}", "{a} joined as {r} for {b}"),
        count_ask="How many verses are there?",
        count_frames=("{e} knows {n} verses", "a tune of {n} verses is by {e}"),
    ),
    Domain(
        number=11,
        name="court",
        state_ask="What is the ruling?",
        state_frames=("{e} is {v}", "the ruling on {e} is {v}", "by ruling {e} stays {v}"),
        goods_ask="What did that one steal?",
        goods_frames=("{e} stole {v}", "one night {e} stole {v}", "{e} took {v}", "{e} hid {v}"),
        relation_frames=("{a} is the {r} of {b}", "{a} spoke as {r} against {b}"),
        count_ask="How many years are given?",
        count_frames=("{e} got {n} years", "the term of {n} years is for {e}"),
    ),
)
