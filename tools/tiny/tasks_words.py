"""Letters of a word: how often one occurs, and the word backwards."""

import random

from problem import Problem

REAL_WORDS = """apple banana cherry orange lemon grape melon peach strawberry blueberry pineapple water coffee
sugar bread butter cheese letter mirror window garden forest river mountain valley ocean island bridge castle
street market school teacher student doctor engine model kernel server memory cache token fathom deep ocean
silver golden purple yellow orange green black white brown little middle bottom summer winter spring autumn
monday friday sunday january august december hello world python rocket planet saturn jupiter mercury pepper
carrot tomato potato onion garlic rabbit kitten puppy monkey tiger lion zebra panda parrot eagle salmon
hammer ladder basket bottle pillow blanket carpet candle lantern guitar violin piano trumpet drummer singer
dancer painter writer reader runner soccer tennis hockey cricket puzzle riddle secret answer question number
letter simple double triple happy sorry pretty funny clever gentle honest brave quiet noisy sunny rainy
cloudy windy stormy frozen boiling cooking eating running jumping sleeping reading writing singing dancing
system parallel address success process express business committee mississippi bookkeeper balloon
accommodate cat dog sun moon star tree book king queen fish bird milk rice corn salt rain snow wind fire""".split()
CONSONANTS = "bcdfghjklmnpqrstvwxyz"
VOWELS = "aeiou"
MAX_LETTERS = 11


def _invented(rng: random.Random) -> str:
    """Two thirds pronounceable, one third random letters; some letters doubled."""
    length = rng.randrange(3, MAX_LETTERS)
    if rng.random() < 0.65:
        word = "".join(rng.choice(CONSONANTS if i % 2 else VOWELS) for i in range(rng.randrange(2), length + 1))
    else:
        alphabet = rng.sample(CONSONANTS + VOWELS, rng.randrange(3, 12))
        word = "".join(rng.choice(alphabet) for _ in range(length))
    if rng.random() < 0.4:
        at = rng.randrange(len(word))
        word = word[: at + 1] + word[at:]
    return word[:MAX_LETTERS]


def word(rng: random.Random) -> str:
    return rng.choice(REAL_WORDS) if rng.random() < 0.3 else _invented(rng)


def _quoted(rng: random.Random, text: str, lang: str) -> str:
    forms = [f'"{text}"', f'"{text}"', f"'{text}'", text]
    if lang == "zh":
        forms += [f"“{text}”", f" {text} "]
    return rng.choice(forms)



def count(rng: random.Random, lang: str) -> Problem:
    text = word(rng)
    if rng.random() < 0.85:
        letter = rng.choice(text)
        if rng.random() < 0.5:  # prefer a letter that occurs more than once
            letter = max(rng.sample(text, len(text)), key=text.count)
    else:
        letter = rng.choice(CONSONANTS + VOWELS)
    target = _quoted(rng, text, lang)
    if lang == "en":
        shown = rng.choice([f'"{letter}"', f"'{letter}'", letter, letter])
        question = rng.choice([
            f"How many {shown} are in {target}?", f"how many {shown} in {target}",
            f"How many times does {shown} appear in {target}?", f"Count the letter {shown} in {target}.",
            f"How many times does the letter {shown} occur in the word {target}?",
            f"How many {letter}'s are there in {target}?", f"How many letters {shown} does {target} have?",
            f"count {shown} in {target}"])
    else:
        question = rng.choice([
            f"{target}里有几个{letter}？", f"{target}中有多少个字母{letter}？", f"单词{target}里字母{letter}出现了几次？",
            f"数一数{target}里有几个{letter}", f"字母{letter}在{target}中出现几次？", f"{target}里有多少个 {letter}？"])
    total = text.count(letter)
    if lang == "en":
        answer = f"The letter {letter} appears {total} time{'' if total == 1 else 's'}."
    else:
        answer = f"字母 {letter} 出现了 {total} 次。"
    return Problem("count", f"{letter}:{text}", question, count_thought(text, letter), answer,
                   str(total), "final-number")


def count_thought(text: str, letter: str) -> str:
    """Numbers the letters; each hit carries the running count: '1b 2a(1) 3n 4a(2)'."""
    seen, parts = 0, []
    for i, each in enumerate(text, 1):
        part = f"{i}{each}"
        if each == letter:
            seen += 1
            part += f"({seen})"
        parts.append(part)
    return f"{letter}: {' '.join(parts)}\n{letter} = {seen}"


def spell(rng: random.Random, lang: str) -> Problem:
    text = word(rng)
    target = _quoted(rng, text, lang)
    if lang == "en":
        question = rng.choice([
            f"Spell {target} backwards.", f"spell {target} backwards", f"Reverse the word {target}.", f"Reverse {target}.",
            f"What is {target} spelled backwards?", f"Write {target} backwards.", f"What is {target} in reverse?",
            f"How do you spell {target} backwards?", f"reverse {target}"])
    else:
        question = rng.choice([
            f"把{target}倒过来拼写。", f"{target}倒着怎么拼？", f"请把单词{target}反过来写。", f"反转{target}",
            f"将{target}倒序拼写。", f"倒着写{target}"])
    backwards = text[::-1]
    numbered = [f"{i}{letter}" for i, letter in enumerate(text, 1)]
    thought = f"{' '.join(numbered)}\n{' '.join(reversed(numbered))}"
    return Problem("spell", text, question, thought, backwards, backwards, "exact")
