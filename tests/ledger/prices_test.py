#!/usr/bin/env python3
"""Charges at random moments, of random calendars and counts, equal those of exact rationals."""

import datetime
import fractions
import json
import math
import os
import random
import subprocess
import unittest

EPOCH = datetime.datetime(1970, 1, 1)
DAY_MINUTES = 24 * 60
CASES = 2000 * (20 if os.environ.get("FATHOM_LONG") else 1)


def clock(minutes):
    return f"{minutes // 60:02}:{minutes % 60:02}"


def random_rates(rng):
    most = rng.choice([3, 10**6, 10**9, 2**53])
    return {name: rng.randint(0, most) for name in ("cached", "prompt", "completion")}


def random_hours(rng):
    edges = [0, 1, 540, 720, 1080, 1439, rng.randrange(DAY_MINUTES)]
    days = rng.sample(range(7), rng.randint(1, 7))
    return {"weekdays": days, "from": rng.choice(edges), "to": rng.choice([*edges, DAY_MINUTES])}


def random_price(rng, around):
    holidays = [around + datetime.timedelta(days=rng.randint(-3, 3)) for _ in range(rng.randint(0, 4))]
    bands = [
        {"name": f"band{i}", **random_rates(rng), "on_holidays": rng.random() < 0.3,
         "hours": [random_hours(rng) for _ in range(rng.randint(1, 3))]}
        for i in range(rng.randint(0, 3))
    ]
    return {
        **random_rates(rng),
        "utc_offset_minutes": rng.choice([0, 480, -570, 345, 840, -840]),
        "holidays": [day.strftime("%Y-%m-%d") for day in holidays],
        "bands": bands,
    }


def written(price):
    """The price as a user writes it: times of day as text."""
    bands = [
        {**band, "hours": [{**h, "from": clock(h["from"]), "to": clock(h["to"])} for h in band["hours"]]}
        for band in price["bands"]
    ]
    return {**price, "bands": bands}


def band_at(price, micros):
    """The band, found by listing the intervals that begin on the days around."""
    local = EPOCH + datetime.timedelta(microseconds=micros, minutes=price["utc_offset_minutes"])
    midnight = datetime.datetime(local.year, local.month, local.day)
    for band in price["bands"]:
        for hours in band["hours"]:
            for back in (0, 1):
                day = midnight - datetime.timedelta(days=back)
                holiday = day.strftime("%Y-%m-%d") in price["holidays"]
                if day.weekday() not in hours["weekdays"] or (holiday and not band["on_holidays"]):
                    continue
                length = hours["to"] - hours["from"]
                if length <= 0:
                    length += DAY_MINUTES
                begin = day + datetime.timedelta(minutes=hours["from"])
                if begin <= local < begin + datetime.timedelta(minutes=length):
                    return band["name"], band
    return "base", price


def expected(price, micros, tokens):
    name, rates = band_at(price, micros)
    names = ("cached", "prompt", "completion")
    total = sum(fractions.Fraction(t * rates[n], 10**6) for t, n in zip(tokens, names))
    charge = math.ceil(total)
    return f"{name} {charge}" if charge < 2**63 else "error"


def moments(rng, price, around):
    """Edges of hours on the days around, a microsecond before and after, and some between."""
    offset = datetime.timedelta(minutes=price["utc_offset_minutes"])
    edges = [0, DAY_MINUTES]
    for band in price["bands"]:
        for hours in band["hours"]:
            edges += [hours["from"], hours["to"]]
    found = []
    for _ in range(12):
        day = around + datetime.timedelta(days=rng.randint(-4, 4))
        at = day + datetime.timedelta(minutes=rng.choice(edges)) - offset
        micros = (at - EPOCH) // datetime.timedelta(microseconds=1)
        found += [micros - 1, micros, micros + rng.randrange(86_400_000_000)]
    return found


class Prices(unittest.TestCase):
    def test_charges_are_those_of_exact_rationals(self):
        rng = random.Random(20261201)
        questions, answers = [], []
        for _ in range(CASES):
            around = datetime.datetime(2020, 1, 1) + datetime.timedelta(days=rng.randrange(10_000))
            price = random_price(rng, around)
            tokens = [rng.choice([0, 1, rng.randrange(10**4), rng.randrange(2**53)]) for _ in range(3)]
            at = moments(rng, price, around)
            questions.append(json.dumps({"price": written(price), "at": at, "tokens": tokens}))
            answers += [expected(price, moment, tokens) for moment in at]
        done = subprocess.run([os.environ["LEDGER_PRICE_CLI"]], input="\n".join(questions) + "\n",
                              capture_output=True, text=True, check=True, timeout=100)
        got = done.stdout.split("\n")[:-1]
        self.assertEqual(len(got), len(answers))
        wrong = [(i, g, a) for i, (g, a) in enumerate(zip(got, answers)) if g != a]
        self.assertEqual(wrong[:3], [])
        bands = {answer.split()[0] for answer in answers}
        self.assertTrue({"base", "band0", "band1", "band2", "error"} <= bands, "all were asked for")


if __name__ == "__main__":
    unittest.main()
