"""Our own training sentences, made by templates: facts about films, products and support cases.

The rated texts hold almost no neutral sentence about films or orders, so a plain fact in those
words leans polar. `FACTS` teaches the neutral reading; `OPINIONS` reuses the same nouns with a
clear opinion, so that the nouns themselves do not become a sign of neutrality. Training only: dev
and test stay as the raters left them.

Written for Headrace, Apache-2.0.
"""

import random
import re

NEGATIVE, NEUTRAL, POSITIVE = (0.90, 0.08, 0.02), (0.04, 0.92, 0.04), (0.02, 0.08, 0.90)
SENTENCES_PER_FACT = 4
SENTENCES_PER_OPINION = 2

FILLERS = {
    "film": ["The movie", "The documentary", "This western", "The second part", "The thriller",
             "The short film", "The remake", "The picture"],
    "name": ["Maria Keller", "Tom Okafor", "Li Wei", "Anna Lindqvist", "David Moreau",
             "Priya Nair", "Sam Whitfield", "Elena Petrova"],
    "year": ["1968", "1984", "1997", "2003", "2011", "2016", "2019", "2022"],
    "minutes": ["84", "91", "97", "105", "112", "128", "136", "143"],
    "place": ["Lisbon", "Montana", "Prague", "Vancouver", "Kyoto", "Dublin", "Cape Town"],
    "language": ["French", "Korean", "Spanish", "Hindi", "Polish", "Italian"],
    "novel": ["a novel", "a short story", "a stage play", "a newspaper article", "a comic book"],
    "item": ["charger", "keyboard", "lamp", "backpack", "kettle", "monitor", "jacket", "printer",
             "headset", "router", "blender", "mattress"],
    "part": ["a strap", "a power adapter", "an instruction sheet", "four screws", "a carrying case",
             "a spare filter", "a remote control", "two batteries"],
    "colour": ["black", "grey", "dark blue", "white", "green", "red"],
    "material": ["aluminium", "cotton", "plastic", "oak", "steel", "recycled polyester"],
    "number": ["3", "7", "14", "21", "30", "45", "60"],
    "size": ["12 inches", "40 centimetres", "1.5 metres", "27 inches", "85 millimetres"],
    "code": ["20391", "77140", "55028", "61907", "83415", "39262"],
    "date": ["2 March", "19 April", "7 June", "30 August", "11 October", "24 November"],
    "day": ["Monday", "Wednesday", "Thursday", "Friday", "Saturday"],
    "time": ["8 am", "9:30", "noon", "2:15 pm", "5 pm", "7:45 pm"],
    "amount": ["$14.50", "$29", "$63.20", "$118", "$240"],
    "field": ["billing address", "email address", "phone number", "payment method", "user name"],
    "page": ["account page", "checkout page", "settings menu", "order history", "help centre"],
    "plan": ["monthly plan", "annual plan", "basic subscription", "team subscription"],
}

FACTS = [
    "{film} runs for {minutes} minutes.",
    "Running time: {minutes} minutes.",
    "{film} was directed by {name}.",
    "{film} was released in {year} and was shot in {place}.",
    "{name} directed the film in {year}.",
    "{film} stars {name} and {name2}.",
    "The screenplay was written by {name} and is based on {novel}.",
    "{film} is in {language} with English subtitles.",
    "The story is set in {place} in {year}.",
    "{name} plays a doctor who moves to {place}.",
    "The cast includes {name} and {name2}.",
    "It is a {minutes}-minute film by {name} that opened in {year}.",
    "The screening starts at {time} on {day}.",
    "The music was composed by {name}.",
    "The sequel was filmed in {place} over {number} weeks.",
    "{film} has a length of {minutes} minutes; the director is {name}.",
    "The {item} comes with {part} and {part2}.",
    "In the box: one {item}, {part} and {part2}.",
    "The {item} is {size} wide and made of {material}.",
    "The {item} is available in {colour} and {colour2}.",
    "This {item} weighs {number} ounces and is {size} tall.",
    "I ordered the {colour} {item} on {date}.",
    "It has a cable of {size} and {part}.",
    "I use the {item} at home and at the office.",
    "The warranty on the {item} lasts {number} months.",
    "The {item} replaces an older model from {year}.",
    "Order {code} was placed on {date}.",
    "The invoice number is {code} and the total is {amount}.",
    "Your tracking number is {code}.",
    "Shipping to {place} takes {number} business days.",
    "The delivery is planned for {day} at {time}.",
    "The parcel was handed to the courier on {date}.",
    "A refund of {amount} was issued on {date}.",
    "Returns are accepted within {number} days of delivery.",
    "How do I change my {field}?",
    "Where can I find the {page}?",
    "You can update your {field} on the {page}.",
    "I would like to change the {field} on my account.",
    "The {plan} costs {amount} and renews on {date}.",
    "The {plan} includes {number} users.",
    "Can I switch from the {plan} to another one?",
    "Please send the invoice to my {field}.",
    "The coupon code expires on {date}.",
    "Support is open from {time} on {day}.",
    "Ticket {code} was assigned to {name}.",
    "The app needs {number} megabytes of storage.",
    "The package is at the pick-up point until {day}.",
    "The shop in {place} opens at {time}.",
    "The {item} needs {number} hours to charge.",
    "We will call you back on {day} at {time}.",
]

OPINIONS = [
    ("The {item} arrived broken and nobody answers the phone.", NEGATIVE),
    ("After {number} days the {item} was already dead, a waste of money.", NEGATIVE),
    ("My refund still has not come after {number} weeks, this is unacceptable.", NEGATIVE),
    ("The checkout keeps failing and I am fed up.", NEGATIVE),
    ("Shipping took {number} weeks and {part} was missing.", NEGATIVE),
    ("They refused to honour the warranty on my {item}.", NEGATIVE),
    ("I was charged twice for the {plan} and support ignores me.", NEGATIVE),
    ("{film} is {minutes} minutes of pure boredom.", NEGATIVE),
    ("{film} by {name} is a dull and clumsy mess.", NEGATIVE),
    ("The {item} feels cheap and the {material} scratches at once.", NEGATIVE),
    ("The delivery on {day} never showed up, very disappointing.", NEGATIVE),
    ("{name} is badly miscast and the script is awful.", NEGATIVE),
    ("The {item} is excellent and worth every cent.", POSITIVE),
    ("Fast shipping to {place} and the {item} looks beautiful.", POSITIVE),
    ("The refund arrived within {number} hours, excellent service!", POSITIVE),
    ("The checkout was quick and simple, well done.", POSITIVE),
    ("{film} by {name} is a joy from start to finish.", POSITIVE),
    ("{minutes} minutes that fly by, a moving and funny film.", POSITIVE),
    ("Thanks to {name} from support, my {item} works again, great help!", POSITIVE),
    ("I am very happy with the {plan}, it saves me a lot of time.", POSITIVE),
    ("The {colour} {item} is comfortable and well made.", POSITIVE),
    ("Delivery came early on {day} and everything was perfect.", POSITIVE),
    ("{name} gives a brilliant performance.", POSITIVE),
    ("Replacing the {item} under warranty was painless and friendly.", POSITIVE),
]


def own_sentences(seed: int = 11) -> list[tuple[str, tuple[float, float, float]]]:
    """Distinct (sentence, target) pairs; the same list on every machine."""
    rng = random.Random(seed)
    made = {}
    for templates, copies in (
        ([(text, NEUTRAL) for text in FACTS], SENTENCES_PER_FACT),
        (OPINIONS, SENTENCES_PER_OPINION),
    ):
        for template, target in templates:
            for _ in range(copies):
                made.setdefault(fill(template, rng), target)
    return list(made.items())


def fill(template: str, rng: random.Random) -> str:
    """Replaces `{film}`, `{name2}` … ; a slot that ends in 2 differs from its first one."""
    chosen = {}
    for slot in re.findall(r"{(\w+)}", template):
        options = [value for value in FILLERS[slot.rstrip("2")] if value not in chosen.values()]
        chosen[slot] = rng.choice(options)
    return template.format(**chosen)
