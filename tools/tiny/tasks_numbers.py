"""Arithmetic, comparing and sorting, with thoughts in which every step is local."""

import random

from problem import Problem


def _number(rng: random.Random, digits: int) -> int:
    return rng.randrange(0 if digits == 1 else 10 ** (digits - 1), 10**digits)


def _three_digit_mostly(rng: random.Random) -> int:
    return _number(rng, rng.choices((1, 2, 3), (1, 2, 7))[0])


def _strip(digits: str) -> str:
    return digits.lstrip("0") or "0"


def _final(lang: str, result: str) -> str:
    return f"The answer is {result}." if lang == "en" else f"答案是 {result}。"


def _ask(rng: random.Random, lang: str, expression: str, words_en: list, words_zh: list) -> str:
    """A question in one of several wordings: symbols, or words of the given lists."""
    if lang == "en":
        forms = [
            f"What is {expression}?", f"what is {expression}", f"Calculate {expression}.",
            f"calculate {expression}", f"Compute {expression}", f"{expression}", f"{expression} = ?",
            f"{expression}=", f"How much is {expression}?", f"Please work out {expression}.",
            f"What's {expression}?", f"Can you compute {expression}?",
        ] + words_en
    else:
        forms = [
            f"{expression}等于多少？", f"计算{expression}。", f"计算 {expression}", f"{expression}=?",
            f"请计算 {expression}。", f"{expression} 是多少？", f"{expression}等于几？", f"请问{expression}等于多少",
            f"{expression}",
        ] + words_zh
    return rng.choice(forms)


def _spaced(rng: random.Random, a: int, sign: str, b: int) -> str:
    return f"{a}{sign}{b}" if rng.random() < 0.5 else f"{a} {sign} {b}"


def add(rng: random.Random, lang: str) -> Problem:
    a, b = _three_digit_mostly(rng), _three_digit_mostly(rng)
    question = _ask(
        rng, lang, _spaced(rng, a, "+", b),
        [f"What is the sum of {a} and {b}?", f"Add {a} and {b}.", f"What is {a} plus {b}?",
         f"add {a} to {b}", f"I have {a} apples and get {b} more. How many do I have?"],
        [f"{a}加{b}等于多少？", f"{a}与{b}的和是多少？", f"{a} 加 {b} 是多少", f"求{a}和{b}的和。"])
    return Problem("add", f"{min(a, b)}+{max(a, b)}", question, add_thought(lang, a, b),
                   _final(lang, str(a + b)), str(a + b), "final-number")


def add_thought(lang: str, a: int, b: int) -> str:
    width = max(len(str(a)), len(str(b)))
    x, y = str(a).zfill(width), str(b).zfill(width)
    lines, carry, digits = [f"{x}+{y}"], 0, ""
    for p, q in zip(reversed(x), reversed(y)):
        total = int(p) + int(q) + carry
        carry_in, carry = carry, total // 10
        digits = str(total % 10) + digits
        note = f"write {total % 10} carry {carry}" if lang == "en" else f"写{total % 10}进{carry}"
        lines.append(f"{p}+{q}+{carry_in}={total}, {note}")
    digits = str(carry) + digits
    lines.append(f"{digits} = {_strip(digits)}")
    return "\n".join(lines)


def sub(rng: random.Random, lang: str) -> Problem:
    a, b = _three_digit_mostly(rng), _three_digit_mostly(rng)
    if rng.random() < 0.35 and a < b:
        a, b = b, a
    question = _ask(
        rng, lang, _spaced(rng, a, "-", b),
        [f"What is {a} minus {b}?", f"Subtract {b} from {a}.", f"Take {b} away from {a}.",
         f"What is the difference {a} - {b}?", f"subtract {b} from {a}"],
        [f"{a}减{b}等于多少？", f"{a}减去{b}是多少？", f"{a} 减 {b} 是多少", f"从{a}中减去{b}得多少？"])
    return Problem("sub", f"{a}-{b}", question, sub_thought(lang, a, b),
                   _final(lang, str(a - b)), str(a - b), "final-number")


def _digit_comparison(x: str, y: str) -> tuple:
    """('3=3, 4<8', '<'): digits of equally wide numbers compared from the left."""
    parts = []
    for p, q in zip(x, y):
        relation = "=" if p == q else "<" if p < q else ">"
        parts.append(f"{p}{relation}{q}")
        if relation != "=":
            break
    return ", ".join(parts), relation


def sub_thought(lang: str, a: int, b: int) -> str:
    width = max(len(str(a)), len(str(b)))
    x, y = str(a).zfill(width), str(b).zfill(width)
    comparison, relation = _digit_comparison(x, y)
    sign = "-" if relation == "<" else ""
    lines = [f"{x}-{y}", comparison]
    if sign:
        x, y = y, x
    lines.append(f"{sign}({x}-{y})")
    borrow, digits = 0, ""
    for p, q in zip(reversed(x), reversed(y)):
        value = int(p) - int(q) - borrow
        step = f"{p}-{q}-{borrow}"
        if value < 0:
            step += f"<0, 1{p}-{q}-{borrow}"
            value, borrow = value + 10, 1
        else:
            borrow = 0
        digits = str(value) + digits
        note = f"borrow {borrow}" if lang == "en" else f"借{borrow}"
        lines.append(f"{step}={value}, {note}")
    lines.append(f"{sign}{digits} = {sign if int(digits) else ''}{_strip(digits)}")
    return "\n".join(lines)


def mul(rng: random.Random, lang: str) -> Problem:
    a, b = _number(rng, rng.choices((1, 2, 3), (1, 4, 5))[0]), rng.randrange(10)
    first, second = (a, b) if rng.random() < 0.75 else (b, a)
    sign = rng.choice("*×x*")
    question = _ask(
        rng, lang, _spaced(rng, first, sign, second),
        [f"What is {first} times {second}?", f"Multiply {first} by {second}.",
         f"What is the product of {first} and {second}?", f"multiply {first} and {second}"],
        [f"{first}乘以{second}等于多少？", f"{first}乘{second}是多少？", f"{first}与{second}的积是多少？",
         f"{first} 乘以 {second} 等于几"])
    return Problem("mul", f"{a}*{b}", question, mul_thought(lang, a, b),
                   _final(lang, str(a * b)), str(a * b), "final-number")


def mul_thought(lang: str, a: int, b: int) -> str:
    lines, carry, digits = [f"{a}*{b}"], 0, ""
    for p in reversed(str(a)):
        product = int(p) * b
        total = product + carry
        step = f"{p}*{b}={product}, {product}+{carry}={total}"
        carry = total // 10
        digits = str(total % 10) + digits
        note = f"write {total % 10} carry {carry}" if lang == "en" else f"写{total % 10}进{carry}"
        lines.append(f"{step}, {note}")
    digits = str(carry) + digits
    lines.append(f"{digits} = {_strip(digits)}")
    return "\n".join(lines)


def compare(rng: random.Random, lang: str) -> Problem:
    digits = rng.choices((1, 2, 3, 4), (1, 3, 4, 2))[0]
    a = _number(rng, digits)
    close = rng.random() < 0.4
    b = _number(rng, digits if rng.random() < 0.6 else rng.randrange(1, 5))
    if close:  # share leading digits, or the comparison would nearly always end at the first
        text = str(a)
        keep = rng.randrange(len(text))
        b = int(text[:keep] + "".join(rng.choice("0123456789") for _ in text[keep:]))
    want_larger = rng.random() < 0.65
    width = max(len(str(a)), len(str(b)))
    x, y = str(a).zfill(width), str(b).zfill(width)
    comparison, relation = _digit_comparison(x, y)
    chosen = max(a, b) if want_larger else min(a, b)
    sep_en = rng.choice([f"{a} or {b}", f"{a} or {b}", f"{a} and {b}"])
    if lang == "en":
        word = rng.choice(("larger", "bigger", "greater")) if want_larger else rng.choice(("smaller", "less"))
        question = rng.choice([
            f"Which is {word}, {a} or {b}?", f"Which number is {word}: {sep_en}?", f"which is {word}, {a} or {b}",
            f"What is {word}: {a} or {b}?", f"Is {a} or {b} {word}?", f"Of {a} and {b}, which is {word}?",
            f"Compare {a} and {b}. Which is {word}?"])
        answer = f"{chosen} is {'larger' if want_larger else 'smaller'}."
        equal = "They are equal."
    else:
        word = rng.choice(("大", "更大", "比较大")) if want_larger else rng.choice(("小", "更小", "比较小"))
        question = rng.choice([
            f"{a}和{b}哪个{word}？", f"{a} 和 {b} 哪个数{word}？", f"哪个{word}：{a}还是{b}？",
            f"比较{a}和{b}，哪个{word}？", f"{a}与{b}谁{word}"])
        answer = f"{chosen} 更{'大' if want_larger else '小'}。"
        equal = "它们相等。"
    if lang == "en":
        wanted = "larger" if want_larger else "smaller"
    else:
        wanted = "更大" if want_larger else "更小"
    thought = f"{wanted}: {x} ? {y}\n{comparison}\n{a}{relation}{b}"
    if a == b:
        return Problem("compare", f"{a},{b}", question, thought, equal, equal, "exact")
    return Problem("compare", f"{min(a, b)},{max(a, b)}", question, thought, answer, str(chosen), "final-number")


def sort(rng: random.Random, lang: str) -> Problem:
    count = rng.randrange(3, 7)
    top = rng.choices((10, 100, 1000), (2, 6, 2))[0]
    numbers = [rng.randrange(top) for _ in range(count)]
    descending = rng.random() < 0.3
    joined = rng.choice([", ", ", ", ",", " "]).join(map(str, numbers))
    if lang == "en":
        order = rng.choice(("descending order", "from largest to smallest") if descending
                           else ("ascending order", "from smallest to largest"))
        forms = [f"Sort these numbers {'in ' if 'order' in order else ''}{order}: {joined}",
                 f"Sort {joined} {'in ' if 'order' in order else ''}{order}.",
                 f"Put {joined} {'in ' if 'order' in order else ''}{order}.",
                 f"Order these numbers {'in ' if 'order' in order else ''}{order}: {joined}"]
        if not descending:
            forms += [f"Sort: {joined}", f"sort {joined}", f"Sort the list {joined}.", f"Please sort these: {joined}",
                      f"Sort [{joined}]"]
    else:
        order = "从大到小" if descending else "从小到大"
        joined = joined.replace(", ", rng.choice(("、", "，", ", ")))
        forms = [f"把{joined}{order}排序。", f"请{order}排列：{joined}", f"{order}排序：{joined}",
                 f"将这些数{order}排列：{joined}"]
        if not descending:
            forms += [f"排序：{joined}", f"请给这些数排序：{joined}"]
    result = ", ".join(map(str, sorted(numbers, reverse=descending)))
    key = ",".join(map(str, sorted(numbers)))
    return Problem("sort", key, rng.choice(forms), sort_thought(numbers, descending), result, result, "exact")


def sort_thought(numbers: list, descending: bool) -> str:
    width = len(str(max(numbers)))
    rest = [str(n).zfill(width) for n in numbers]
    name = "max" if descending else "min"
    lines = []
    while rest:
        chosen = (max if descending else min)(rest)
        lines.append(f"{' '.join(rest)}: {name} {chosen}")
        rest.remove(chosen)
    return "\n".join(lines)
